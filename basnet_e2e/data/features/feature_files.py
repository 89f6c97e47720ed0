"""Our feature files as a source of rows, and which files of a folder they are."""

import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.annotations.video_names import listing
from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.errors import BasnetError
from extract.errors import ExtractError
from extract.features.feature_file import SUFFIX, Features, read_meta
from extract.features.settings import settings_for_streams
from extract.sources.storage import names_below

log = logging.getLogger(__name__)
TimedRows = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], float]
# Other files with the same suffix, and what to say where one is given as features.
NO_FEATURES = {
    Kind.MODEL: "a model, not features; 'basnet localize -m' applies it to features or videos",
    Kind.WEIGHTS: "weights of a network, not features; 'basnet extract' makes features",
    Kind.TENSORS: "not a feature file of basnet (made by another program?)",
}


@dataclass(frozen=True)
class FileSource:
    """A feature file of ``basnet extract``."""

    id: str
    path: Path
    streams: Sequence[str] | None
    timed = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    @property
    def size(self) -> int:
        """Bytes of the file, which holds little else than the matrix."""
        return self.path.stat().st_size

    def settings(self) -> dict[str, Any]:
        """Settings of the file, narrowed to the streams that are read."""
        try:
            settings = dict(read_meta(self.path)["settings"])
        except ExtractError as error:
            raise BasnetError(str(error)) from error
        return settings if self.streams is None else settings_for_streams(settings, self.streams)

    def read(self, notes: dict[str, str]) -> TimedRows:
        """Matrix ``[T, F] float32``, start and end ``[T]`` and the duration, all in seconds."""
        features = self._load()
        try:
            x = features.matrix(self.streams)
        except ExtractError as error:
            raise BasnetError(f"{self.path}: {error}") from error
        return x.astype(np.float32, copy=False), features.start, features.end, features.duration

    def _load(self) -> Features:
        try:
            return Features.load(self.path)
        except ExtractError as error:
            text = str(error)
            named = text if os.fspath(self.path) in text else f"{self.path}: {text}"
            raise BasnetError(named) from error

    def by_stream(self) -> dict[str, NDArray[Any]]:
        """Each stream's matrix as stored."""
        features = self._load()
        chosen = self.streams if self.streams is not None else features.streams
        return {name: features.matrix([name]) for name in chosen}


def feature_files(folder: Path) -> list[Path]:
    """Feature files below a folder, in order; one line of the log lists others with the suffix."""
    files = [folder / name for name in names_below(folder) if name.endswith(SUFFIX)]
    others = {path: kind for path in files if (kind := other_kind(path)) is not None}
    if others:
        _warn_of_others(tuple(f"{path} ({kind})" for path, kind in others.items()))
    return [path for path in files if path not in others]


@functools.cache
def _warn_of_others(files: tuple[str, ...]) -> None:
    """Log them once, however often a command lists its folder."""
    log.warning("files that are not features, ignored (%d): %s", len(files), listing(files))


def other_kind(path: Path) -> Kind | None:
    """What a file with the suffix of features is, if not features; a damaged one counts as such."""
    try:
        kind = kind_of(path)
    except OSError:
        return None
    return kind if kind in NO_FEATURES else None


def feature_id(path: Path, folder: Path) -> str:
    """Id of the video whose features a file of a folder holds."""
    return path.relative_to(folder).as_posix().removesuffix(SUFFIX)


def refuse_other_kind(path: Path) -> None:
    """Refuse a file that is not features, and say what it is.

    Raises:
        BasnetError: it is a model or another file with the same suffix.
    """
    kind = other_kind(path)
    if kind is not None:
        raise BasnetError(f"{path}: {NO_FEATURES[kind]}")
