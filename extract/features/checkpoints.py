"""Finished parts of a video whose features are not complete, kept so that a later run goes on.

A part is a fixed number of snippets on the grid, so that nothing in the result depends on where an
earlier run was cut off. Parts are used again only for the same content, settings, device and way of
decoding; anything else is made anew. They stand in a hidden folder of the features folder and go
when the video is done.
"""

import contextlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import DiskError
from extract.features.fingerprint import fingerprint
from extract.features.missing_folders import check_there
from extract.machine.file_locks import UNFINISHED, remove_empty
from weights.files import atomic_write
from weights.json_documents import JsonError, decode_json

log = logging.getLogger(__name__)

SNIPPETS = 64
"""Snippets of a part (41 s of video): a multiple of every group that the pipeline works on."""

SUFFIX = ".part"
KEY = "basnet"

Rows = dict[str, list[NDArray[np.float32]]]


class Chunks:
    """The finished parts of one video.

    Args:
        folder: the features folder.
        video_id: id of the video.
        snippets: snippets of a part.
    """

    def __init__(
        self, folder: str | os.PathLike[str], video_id: str, snippets: int = SNIPPETS
    ) -> None:
        self._root = Path(folder) / UNFINISHED
        self._folder = self._root / f"{video_id}.parts"
        self._snippets = snippets
        self._kept = 0
        self._made = ""

    def decoder(self, path: str | os.PathLike[str], asked: str) -> str:
        """The decoder to go on with: ``asked``, or PyAV where it had to begin again with that."""
        if asked != "auto" or not self._folder.is_dir():
            return asked
        made = self._meta(self._path(0))
        with contextlib.suppress(OSError, KeyError, TypeError):
            if made["facts"]["fingerprint"] == fingerprint(path) and made["decoding"] == "pyav":
                return "pyav"
        return asked

    def begin(self, made: dict[str, Any], decoder: str, parts: Rows) -> int:
        """Fill ``parts`` with what is there, and forget what does not fit.

        Args:
            made: all that the features depend on, as JSON.
            decoder: what the video was opened with.
            parts: rows of each stream, to be added to.

        Returns:
            The number of snippets found.
        """
        facts = {key: value for key, value in made["facts"].items() if key != "decoder"}
        self._made = json.dumps(made | {"facts": facts, "decoding": decoder}, sort_keys=True)
        self._kept = 0
        while (rows := self._read(self._path(self._kept), parts.keys())) is not None:
            for name, array in rows.items():
                parts[name].append(array)
            self._kept += self._snippets
        if self._kept:
            log.info("%s: goes on after %d snippets", made["facts"]["file"], self._kept)
        return self._kept

    def keep(self, done: int, parts: Rows) -> None:
        """Write the part that the first ``done`` snippets complete, if they complete one.

        Raises:
            DiskError: the features folder is gone or cannot be written, or the disk is full.
        """
        if done - self._kept < self._snippets:
            return
        from safetensors.numpy import save

        first, self._kept = self._kept, self._kept + self._snippets
        rows = {name: np.concatenate(arrays)[first : self._kept] for name, arrays in parts.items()}
        for name, arrays in parts.items():
            parts[name] = [np.concatenate(arrays)]
        path = self._path(first)
        check_there(self._root.parent)
        try:
            with atomic_write(path) as file:
                file.write(save(rows, metadata={KEY: self._made}))
        except OSError as error:
            raise DiskError(error.errno, error.strerror, os.fspath(path)) from error

    def clear(self) -> None:
        """Remove all parts, and the folders that are empty without them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        remove_empty(self._folder.parent, self._root)
        self._kept = 0

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:08d}{SUFFIX}"

    @staticmethod
    def _meta(path: Path) -> dict[str, Any]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                return decode_json((file.metadata() or {})[KEY], dict[str, Any])
        except (SafetensorError, OSError, KeyError, JsonError):
            return {}

    def _read(self, path: Path, names: Any) -> dict[str, NDArray[np.float32]] | None:
        """Rows of a part that was made in the same way; None where there is none."""
        from safetensors import SafetensorError, safe_open

        if self._meta(path) != json.loads(self._made):
            return None
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                rows = {name: file.get_tensor(name) for name in names}
        except (SafetensorError, OSError):
            return None
        return rows if all(len(array) == self._snippets for array in rows.values()) else None
