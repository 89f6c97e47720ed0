"""What a page shows beside the intervals: class activations, foreground weight, thumbnails.

It is recorded while a video is localized, when everything is available, and kept in one file per
video, so that a page never needs the features, the model or the video's pictures again. For the
result ``out.json`` of one video that is ``out.evidence``, for a document of several videos a file
per id in the folder ``out.evidence/``.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import SECOND_DECIMALS, Floats, Localization
from weights.files import atomic_write
from weights.json_documents import Duration, Name, decode_json

SUFFIX = ".evidence"
KEY = "basnet"
VERSION = 1
LEVELS = 255  # activations are kept as bytes: a screen shows no finer steps
MOST_CLASSES = 12  # curves beyond the classes that have intervals tell nothing apart any more


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of the video.

    Attributes:
        time: seconds at which the video shows it.
        jpeg: the encoded picture.
    """

    time: float
    jpeg: bytes


@dataclass(frozen=True)
class Evidence:
    """What a model saw in one video, small enough to travel with its result.

    Attributes:
        video: id of the video.
        duration: seconds.
        centres: ``[n]`` seconds at which the curves' values sit; empty without curves.
        classes: names of the curves.
        cas: ``[n, len(classes)] uint8``, activation in [0, 1] times 255.
        foreground: ``[n] uint8``, foreground weight times 255; None where the model has none.
        thumbnails: pictures in the order of time.
    """

    video: str
    duration: float
    centres: NDArray[np.float32]
    classes: tuple[str, ...]
    cas: NDArray[np.uint8]
    foreground: NDArray[np.uint8] | None = None
    thumbnails: tuple[Thumbnail, ...] = ()

    @classmethod
    def none(cls, video: str, duration: float, pictures: Sequence[Thumbnail] = ()) -> "Evidence":
        """Without curves, of a video that has only a result and perhaps pictures."""
        nothing = np.zeros((0, 0), np.uint8)
        return cls(video, duration, np.zeros(0, np.float32), (), nothing, None, tuple(pictures))

    @classmethod
    def of(
        cls,
        video: str,
        duration: float,
        centres: Sequence[float] | NDArray[np.floating[Any]],
        curves: Mapping[str, Sequence[float] | NDArray[np.floating[Any]]],
        foreground: Sequence[float] | NDArray[np.floating[Any]] | None = None,
        thumbnails: Sequence[Thumbnail] = (),
    ) -> "Evidence":
        """From curves in [0, 1]; values outside are clipped.

        >>> Evidence.of("game", 2.0, [0.5, 1.5], {"dive": [0.2, 1.7]}).cas.tolist()
        [[51], [255]]
        """
        rows = len(centres)
        columns = [_bytes(values) for values in curves.values()]
        return cls(
            video,
            duration,
            np.asarray(centres, np.float32),
            tuple(curves),
            np.stack(columns, axis=1) if columns else np.zeros((rows, 0), np.uint8),
            None if foreground is None else _bytes(foreground),
            tuple(thumbnails),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the evidence file, whole or not at all; equal evidence gives equal bytes.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        sizes = [len(each.jpeg) for each in self.thumbnails]
        pictures = b"".join(each.jpeg for each in self.thumbnails)
        tensors: dict[str, NDArray[Any]] = {
            "centres": self.centres,
            "cas": np.ascontiguousarray(self.cas),
            "thumbnail_times": np.array([each.time for each in self.thumbnails], np.float64),
            "thumbnail_sizes": np.array(sizes, np.int64),
            "thumbnails": np.frombuffer(pictures, np.uint8),
        }
        if self.foreground is not None:
            tensors["foreground"] = self.foreground
        meta = {
            "kind": "evidence",
            "version": VERSION,
            "video": self.video,
            "duration": self.duration,
            "classes": list(self.classes),
        }
        text = json.dumps(meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        with atomic_write(path) as file:
            file.write(save(tensors, metadata={KEY: text}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Evidence":
        """Read an evidence file.

        Raises:
            BasnetError: the file is missing, damaged or of another kind.
        """
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                meta = decode_json((file.metadata() or {})[KEY], _Metadata)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return _from_tensors(meta, tensors)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise BasnetError(
                f"{path}: cannot be read as the evidence of a result ({error}); remove it, or "
                "localize the video again with --report"
            ) from error


class _Metadata(Struct):
    kind: Literal["evidence"]
    version: Literal[1]
    video: Name
    duration: Duration
    classes: list[Name]


def _from_tensors(meta: _Metadata, tensors: dict[str, NDArray[Any]]) -> Evidence:
    centres, cas = tensors["centres"], tensors["cas"]
    foreground = tensors.get("foreground")
    classes = tuple(meta.classes)
    if cas.shape != (len(centres), len(classes)) or cas.dtype != np.uint8:
        raise ValueError(f"curves {cas.shape} for {len(centres)} rows of {len(classes)} classes")
    if foreground is not None and (foreground.shape, foreground.dtype) != (centres.shape, np.uint8):
        raise ValueError(f"foreground {foreground.shape} for {len(centres)} rows")
    times, sizes = tensors["thumbnail_times"], tensors["thumbnail_sizes"]
    for array in (centres, times):
        if array.ndim != 1 or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError("its times are not finite numbers")
    if sizes.ndim != 1 or sizes.dtype != np.int64 or (sizes < 0).any():
        raise ValueError("its thumbnails have no sizes")
    pictures, stops = tensors["thumbnails"].tobytes(), np.cumsum(sizes)
    if len(stops) and int(stops[-1]) != len(pictures):
        raise ValueError("its thumbnails are cut off")
    thumbnails = tuple(
        Thumbnail(float(time), pictures[stop - size : stop])
        for time, size, stop in zip(times, sizes, stops, strict=True)
    )
    return Evidence(meta.video, meta.duration, centres, classes, cas, foreground, thumbnails)


def _bytes(values: Sequence[float] | NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.round(np.clip(np.asarray(values, np.float64), 0, 1) * LEVELS).astype(np.uint8)


def evidence_of(
    result: Localization,
    classes: Sequence[str],
    centres: Floats,
    cas: Floats,
    foreground: Floats | None,
    thumbnails: Sequence[Thumbnail] = (),
) -> Evidence:
    """Evidence of a video that was just localized.

    Args:
        result: what was found.
        classes: names of the columns.
        centres: ``[n]`` seconds at which the rows' values sit.
        cas: ``[n, len(classes)]`` activation.
        foreground: ``[n]`` foreground weights in [0, 1]; None if the model has none.
        thumbnails: pictures in the order of time.
    """
    columns = {name: column for column, name in enumerate(classes)}
    shown = shown_classes([one.label for one in result.intervals], result.classes)
    curves = {name: cas[:, columns[name]] for name in shown}
    duration = round(float(result.duration), SECOND_DECIMALS)
    return Evidence.of(result.video, duration, centres, curves, foreground, thumbnails)


def shown_classes(intervals: Sequence[str], scores: Mapping[str, float]) -> tuple[str, ...]:
    """Classes whose curves are kept: those with intervals, then the likeliest, a dozen in all.

    Args:
        intervals: labels of the intervals, with repetitions.
        scores: class -> video-level score.

    >>> shown_classes(["dive", "dive"], {"jump": 0.9, "dive": 0.3})
    ('dive', 'jump')
    """
    found = list(dict.fromkeys(intervals))
    others = sorted((name for name in scores if name not in set(found)), key=lambda n: -scores[n])
    return (*found, *others[: max(0, MOST_CLASSES - len(found))])


def evidence_path(result: Path, video: str, *, many: bool) -> Path:
    """Path of the evidence of a video, beside its result file.

    >>> evidence_path(Path("out.json"), "day1/game", many=True).as_posix()
    'out.evidence/day1/game.evidence'
    """
    beside = result.with_name(f"{result.stem}{SUFFIX}")
    return beside / f"{video}{SUFFIX}" if many else beside


def find_evidence(result: Path, video: str) -> Evidence | None:
    """The evidence that was kept beside a result; None where there is none.

    Raises:
        BasnetError: the file is damaged.
    """
    for many in (False, True):
        path = evidence_path(result, video, many=many)
        if isfile(path):
            found = Evidence.load(path)
            if found.video == video:
                return found
    return None
