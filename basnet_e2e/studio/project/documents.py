"""The project's files, written so that a process killed at any moment leaves nothing half done.

One file is replaced by renaming. A change of several files is first written down whole
(``.studio/pending.json``) and carried out after that, by the next start if need be.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from weights.files import write_text

HIDDEN = ".studio"
PENDING = "pending.json"
KEPT = "edited"  # folder of files as people wrote them, before the studio first rewrote them

Stamp = tuple[int, int, int]


class Documents:
    """Some text files of one folder.

    Args:
        folder: it is made.
        names: of the files.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self.folder, self.names = folder, names
        (folder / HIDDEN).mkdir(parents=True, exist_ok=True)
        self._pending = folder / HIDDEN / PENDING
        self._recover()

    def stamps(self) -> dict[str, Stamp | None]:
        """Changes when another process replaces or edits a file."""
        found: dict[str, Stamp | None] = {}
        for name in self.names:
            try:
                stat = os.stat(self.folder / name)
                found[name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except FileNotFoundError:
                found[name] = None
        return found

    def write(self, texts: Mapping[str, str], read: Mapping[str, str]) -> None:
        """Replace files, all or none; those that hold the text already are left alone.

        Args:
            texts: new text by name.
            read: what the studio would have written for what it has read. Who wrote it otherwise
                may have had columns that the studio does not know: their file is kept.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        before = {name: self._text(name) for name in texts}
        changed = {name: text for name, text in texts.items() if text != before[name]}
        for name in changed:
            if name in read and before[name] not in (None, read[name]):
                self._keep(name, before[name] or "")
        if len(changed) > 1:
            plan = {
                name: {"before": _digest(before[name]), "text": text}
                for name, text in changed.items()
            }
            write_text(self._pending, json.dumps(plan))
        for name, text in changed.items():
            write_text(self.folder / name, text)
        self._pending.unlink(missing_ok=True)

    def _text(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return None

    def _keep(self, name: str, text: str) -> None:
        path = self.folder / HIDDEN / KEPT / f"{_digest(text)[:8]}-{name}"
        if not path.exists():
            write_text(path, text)

    def _recover(self) -> None:
        """Carry out a change that was written down, and remove what a killed process left."""
        for part in self.folder.glob(".*.part"):
            if any(part.name.startswith(f".{name}.") for name in self.names):
                part.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError, ValueError):
            plan = json.loads(self._pending.read_text("utf-8"))
            for name in self.names:
                # A file that was edited since then is left as it is.
                if name in plan and _digest(self._text(name)) == plan[name]["before"]:
                    write_text(self.folder / name, plan[name]["text"])
        self._pending.unlink(missing_ok=True)


def _digest(text: str | None) -> str:
    return "" if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()
