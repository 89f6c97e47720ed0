"""Lists of the videos that failed, beside the features of the others.

A run over a share of the videos has a list of its own; whoever reads takes them together. Several
processes change them at once, so every change is one reading and writing under a lock.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from extract.locks import listing
from weights.files import write_text

log = logging.getLogger(__name__)

FAILURES = "failures.json"
OF_A_SHARD = re.compile(r"failures-\d+-of-\d+\.json")


def failure_lists(folder: Path) -> list[Path]:
    """Files of a features folder that list failures."""
    lists = [folder / FAILURES] if (folder / FAILURES).is_file() else []
    found = sorted(folder.glob("failures-*-of-*.json"))
    return lists + [path for path in found if OF_A_SHARD.fullmatch(path.name)]


def read_failures(folder: Path) -> dict[str, str]:
    """Why each video failed, by id, from all lists of a features folder."""
    return {key: value for path in failure_lists(folder) for key, value in _read(path).items()}


def change_failures(
    folder: Path,
    settled: Iterable[str] = (),
    failed: Mapping[str, str] | None = None,
    name: str = FAILURES,
) -> None:
    """Take videos out of all lists, and put failed ones into the list ``name``.

    Raises:
        OSError: the folder cannot be written.
    """
    gone, added = set(settled), dict(failed or {})
    if not added and not (gone and failure_lists(folder)):
        return
    with listing(folder):
        for path in {*failure_lists(folder), *([folder / name] if added else [])}:
            before = _read(path)
            after = {key: text for key, text in before.items() if key not in gone | added.keys()}
            if path.name == name:
                after |= added
            if after != before:
                _write(path, after)


def _write(path: Path, failures: Mapping[str, str]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    rows = [{"video": key, "error": failures[key]} for key in sorted(failures)]
    write_text(path, json.dumps({"failed": rows}, indent=1, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, str]:
    try:
        rows = json.loads(path.read_text("utf-8"))["failed"]
        return {row["video"]: row["error"] for row in rows}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; it is written anew", path)
        return {}
