"""The feature file: two-stream snippet features of a video with their times and settings.

A file is a safetensors file with the tensors ``rgb [T, D]``, ``flow [T, D]`` (either may be
absent), ``start [T]`` and ``end [T]`` (float64 seconds), and one metadata key ``basnet`` that holds
JSON: ``settings`` (must agree within a folder) and ``facts`` (may differ from video to video). It
holds no clock, host or path, so equal work gives equal bytes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from extract.features.metadata import METADATA_KEY, parse_metadata
from extract.sources.urls import Url
from extract.streams import STREAMS
from weights.files import atomic_write
from weights.formats.safetensors_header import header_metadata
from weights.json_documents import JsonError

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Features:
    """Snippet features of one video.

    Attributes:
        rgb: ``[T, D] float32``; None if the stream was not extracted.
        flow: ``[T, D] float32`` or None.
        start: ``[T] float64``, seconds of the original file at which a snippet begins.
        end: ``[T] float64``, seconds at which it ends, never past the video's duration.
        meta: ``{"settings": {...}, "facts": {...}}``.
    """

    rgb: NDArray[np.float32] | None
    flow: NDArray[np.float32] | None
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = {name: len(array) for name, array in self._tensors().items()}
        if self.rgb is None and self.flow is None:
            raise ExtractError("features hold neither an rgb nor a flow stream")
        if len(set(rows.values())) != 1 or not len(self.start):
            raise ExtractError(f"features of one video need equal, non-zero row counts, got {rows}")

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams present, in the order rgb, flow."""
        return tuple(name for name in STREAMS if getattr(self, name) is not None)

    @property
    def settings(self) -> dict[str, Any]:
        """How the features were made: equal for all files of a folder."""
        return dict(self.meta.get("settings", {}))

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the video, decoder and engine."""
        return dict(self.meta.get("facts", {}))

    @property
    def duration(self) -> float:
        """Duration of the video in seconds; the last snippet's end if it was not recorded."""
        return float(self.facts.get("duration", self.end[-1]))

    def matrix(self, streams: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Features of the given streams side by side, ``[T, sum of D] float32``.

        Raises:
            ExtractError: the file does not hold a stream.
        """
        chosen = tuple(streams) if streams is not None else self.streams
        for name in set(chosen).difference(self.streams):
            raise ExtractError(
                f"no {name} stream in these features, which hold {' and '.join(self.streams)}"
            )
        return np.concatenate([getattr(self, name) for name in chosen], axis=1)

    def _tensors(self) -> dict[str, NDArray[Any]]:
        named = {"rgb": self.rgb, "flow": self.flow, "start": self.start, "end": self.end}
        return {name: array for name, array in named.items() if array is not None}

    def check_finite(self, path: str | os.PathLike[str] | Url) -> None:
        """Raise an ``ExtractError`` that names ``path`` if the features hold NaN or infinity."""
        for name, array in self._tensors().items():
            if not np.isfinite(array).all():
                raise ExtractError(f"{path}: {name} holds NaN or infinity, nothing was written")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the feature file, whole or not at all.

        Raises:
            ExtractError: the features hold NaN or infinity.
            OSError: the folder cannot be written or the disk is full.
        """
        data = self.to_bytes(path)
        with atomic_write(path) as file:
            file.write(data)

    def to_bytes(self, path: str | os.PathLike[str] | Url) -> bytes:
        """The content of the feature file; ``path`` as for `check_finite`."""
        from safetensors.numpy import save

        self.check_finite(path)
        tensors = {name: np.ascontiguousarray(array) for name, array in self._tensors().items()}
        text = json.dumps(self.meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return bytes(save(tensors, metadata={METADATA_KEY: text}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Features":
        """Read a feature file.

        Raises:
            ExtractError: the file is missing, damaged or not a feature file of this format.
        """
        tensors, meta = _read(path)
        _check_tensors(path, tensors)
        return cls(
            rgb=tensors.get("rgb"),
            flow=tensors.get("flow"),
            start=tensors["start"],
            end=tensors["end"],
            meta=meta,
        )


def read_meta(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read only the metadata of a feature file: ``{"settings": {...}, "facts": {...}}``.

    Raises:
        ExtractError: as ``Features.load``.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            return parse_metadata(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def read_meta_of_bytes(url: Url, start: bytes) -> dict[str, Any]:
    """As ``read_meta``, from the first bytes of a feature file."""
    try:
        metadata = header_metadata(start)
    except JsonError as error:
        raise _unreadable(url, error) from error
    return parse_metadata(url, metadata)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            meta = parse_metadata(path, file.metadata())
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: numbers that numpy lacks
        raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str] | Url, error: Exception) -> ExtractError:
    return ExtractError(
        f"{path}: cannot be read as a feature file, damaged or of another program ({error})"
    )


def _check_tensors(path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise an ``ExtractError`` unless the tensors are snippet features with their times."""
    missing = {"start", "end"} - tensors.keys()
    if missing:
        raise ExtractError(f"{path}: not a feature file, it has no {' and '.join(sorted(missing))}")
    for name, array in tensors.items():
        dimensions = 2 if name in STREAMS else 1
        if array.ndim != dimensions or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ExtractError(
                f"{path}: damaged, {name} is {array.dtype} of shape {array.shape}, expected finite "
                f"numbers in {dimensions}-d; extract the video again"
            )
    if any((np.diff(tensors[name], prepend=0) < 0).any() for name in ("start", "end")):
        raise ExtractError(f"{path}: damaged, its times run backwards; extract the video again")


def feature_path(folder: str | os.PathLike[str], video_id: str) -> Path:
    """The feature file of a video: ``<folder>/<id>.safetensors``."""
    return Path(folder) / f"{video_id}{SUFFIX}"
