"""Checkpoints within a video: finished parts that let an interrupted run resume.

A part is a fixed number of snippets on the grid, so the result does not depend on where an earlier
run was interrupted. Parts are used again only for the same content, settings, device and decoder.
They are in a hidden folder of the features folder until the video is done.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import DiskError
from extract.features.output_folder import check_there
from extract.machine.file_locks import UNFINISHED, remove_empty
from weights.files import atomic_write
from weights.json_documents import JsonError, decode_json

log = logging.getLogger(__name__)

SNIPPETS = 64
"""Snippets of a part (41 s of video): a multiple of every group that the pipeline works on."""

SUFFIX = ".part"
KEY = "basnet"

Rows = dict[str, list[NDArray[np.float32]]]


class Checkpoints:
    """The finished parts of a video, of so many snippets each, in a features folder."""

    def __init__(
        self, folder: str | os.PathLike[str], video_id: str, snippets: int = SNIPPETS
    ) -> None:
        self._root = Path(folder) / UNFINISHED
        self._folder = self._root / f"{video_id}.parts"
        self._snippets = snippets
        self._saved = 0
        self._made_with: dict[str, Any] = {}

    def resume(self, made_with: dict[str, Any], rows: Rows) -> int:
        """Add the rows of an interrupted run to ``rows``; parts that do not fit are overwritten.

        Args:
            made_with: everything that the features depend on, as JSON.
            rows: of each stream.

        Returns:
            The number of snippets found.
        """
        # PyAV may take over from decord within a video.
        facts = {key: value for key, value in made_with["facts"].items() if key != "decoder"}
        self._made_with = json.loads(json.dumps(made_with | {"facts": facts}))
        self._saved = 0
        while (part := self._read(self._path(self._saved), rows.keys())) is not None:
            for name, array in part.items():
                rows[name].append(array)
            self._saved += self._snippets
        if self._saved:
            log.info("%s: resumes after %d snippets", facts["file"], self._saved)
        return self._saved

    def save(self, done: int, rows: Rows) -> None:
        """Write the part that the first ``done`` snippets complete, if they complete one.

        Raises:
            DiskError: the features folder is gone or cannot be written, or the disk is full.
        """
        if done - self._saved < self._snippets:
            return
        from safetensors.numpy import save

        first, self._saved = self._saved, self._saved + self._snippets
        for name, arrays in rows.items():
            rows[name] = [np.concatenate(arrays)]
        part = {name: array[first : self._saved] for name, (array,) in rows.items()}
        path = self._path(first)
        check_there(self._root.parent)
        try:
            with atomic_write(path) as file:
                file.write(save(part, metadata={KEY: json.dumps(self._made_with, sort_keys=True)}))
        except OSError as error:
            raise DiskError.of(error, path) from error

    def clear(self) -> None:
        """Remove all parts, and the folders that they leave empty."""
        shutil.rmtree(self._folder, ignore_errors=True)
        remove_empty(self._folder.parent, self._root)
        self._saved = 0

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:08d}{SUFFIX}"

    def _read(self, path: Path, names: Any) -> dict[str, NDArray[np.float32]] | None:
        """Rows of a part that was made in the same way; None if there is none."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                if decode_json(file.metadata()[KEY], dict[str, Any]) != self._made_with:
                    return None
                part = {name: file.get_tensor(name) for name in names}
        except (SafetensorError, OSError, TypeError, KeyError, JsonError):
            return None
        return part if all(len(array) == self._snippets for array in part.values()) else None
