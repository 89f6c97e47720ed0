"""Which features a folder holds: our feature files and the layouts that others publish.

Read: ``<id>.safetensors`` in depth; ``{rgb,flow}/<video>.npy`` trees (BaS-Net, THUMOS'14); one
``[T, F]`` ``.npy`` per video (ActionFormer, OpenTAD); one ``.npz`` per video. Array files record no
times, so theirs follow a grid of 25 frames per second, 16 frames per snippet, one every 16.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.annotations import subsets
from basnet_e2e.data.features.feature_files import (
    FileSource,
    TimedRows,
    feature_files,
    feature_id,
    other_kind,
    refuse_other_kind,
)
from basnet_e2e.errors import BasnetError
from extract.features.feature_file import SUFFIX
from extract.sources.storage import names_below
from extract.streams import STREAMS

PUBLISHED_GRID = "25,16,16"
ARRAY_SUFFIXES = (".npy", ".npz")
# Two 1024-d streams side by side, rgb first: ActionFormer's and OpenTAD's I3D features.
TWO_STREAM_WIDTH = 2048


@dataclass(frozen=True)
class ArrayGrid:
    """Time grid of array files: exact frames per second, snippet length and stride in frames."""

    fps: Fraction
    length: int
    stride: int

    def times(self, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Start and end of each row in seconds, ``[rows] float64`` each."""
        first = np.arange(rows, dtype=np.float64) * self.stride
        return first / float(self.fps), (first + self.length) / float(self.fps)

    def settings(self) -> dict[str, Any]:
        """The same keys as in a feature file."""
        return {"fps": str(self.fps), "length": self.length, "stride": self.stride}


def parse_grid(text: str | None) -> ArrayGrid:
    """Parse ``fps,length,stride``; None is the grid of published features.

    Raises:
        BasnetError: not three positive numbers.
    """
    parts = (text or PUBLISHED_GRID).split(",")
    try:
        fps, length, stride = Fraction(parts[0]), int(parts[1]), int(parts[2])
        if len(parts) != 3 or fps <= 0 or length < 1 or stride < 1:
            raise ValueError(text)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise BasnetError(
            f"grid '{text}' is not fps,length,stride, for example {PUBLISHED_GRID}"
        ) from error
    return ArrayGrid(fps, length, stride)


def find_stored(
    root: Path,
    *,
    subset: str | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
) -> "list[StoredVideo]":
    """Features of all videos below a folder (or of one file), ordered by id.

    Args:
        root: folder or file.
        subset: of a folder that is divided into subsets. Default: all.
        streams: to read. Default: all there are.
        grid: of array files, see :func:`parse_grid`.

    Raises:
        BasnetError: nothing there, a stream missing, two files with one id, or not a grid.
    """
    array_grid = parse_grid(grid)
    sources: list[StoredVideo]
    if root.is_file():
        sources = [_single(root, streams, array_grid)]
    elif not root.is_dir():
        raise BasnetError(f"{root}: no such file or folder")
    else:
        folder = _features_folder(root)
        files = feature_files(folder)
        if files:
            sources = [
                FileSource(feature_id(path, folder), path, streams)
                for path in _of_subset(files, folder, subset)
            ]
        else:
            sources = [*_array_sources(folder, subset, streams, array_grid)]
    if not sources:
        raise BasnetError(
            f"{root}: no features in this folder (expected {SUFFIX} files of 'basnet extract', "
            "{rgb,flow}/<video>.npy, or .npy and .npz files)"
        )
    _refuse_collisions(sources)
    return sorted(sources, key=lambda source: source.id)


def find_arrays(root: Path, grid: str | None) -> "list[ArraySource]":
    """Array files of a folder that may hold videos and feature files too, ordered by id.

    Raises:
        BasnetError: a stream of a video is missing, two files have one id, or not a grid.
    """
    folder = _features_folder(root)
    if not any(name.endswith(ARRAY_SUFFIXES) for name in names_below(folder)):
        return []
    sources = _array_sources(folder, None, None, parse_grid(grid))
    _refuse_collisions(sources)
    return sorted(sources, key=lambda source: source.id)


# Array files -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ArraySource:
    """Array files of one video: a file per stream, or one file with all of them."""

    id: str
    files: dict[str, Path]
    streams: Sequence[str] | None
    grid: ArrayGrid
    timed = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of each stream, or the one file of all."""
        return tuple(self.files.values())

    @property
    def size(self) -> int:
        """Bytes of the matrix as float32."""
        return sum(4 * part.size for part in self.by_stream().values())

    def settings(self) -> dict[str, Any]:
        """The grid, the streams and their widths; nothing else is known."""
        widths = {name: int(part.shape[1]) for name, part in self.by_stream().items()}
        return {**self.grid.settings(), "streams": list(widths), "dimensions": widths}

    def read(self, notes: dict[str, str]) -> TimedRows:
        """As ``FileSource.read``; notes the lengths of streams that are cut to one length."""
        parts = self.by_stream()
        lengths = {name: len(part) for name, part in parts.items()}
        rows = min(lengths.values())
        if rows != max(lengths.values()):
            notes[self.id] = ", ".join(f"{name} {rows}" for name, rows in lengths.items())
        x = np.concatenate([part[:rows].astype(np.float32) for part in parts.values()], axis=1)
        if not np.isfinite(x).all():
            raise BasnetError(f"{self.paths[0]}: the features hold NaN or infinity")
        start, end = self.grid.times(rows)
        return x, start, end, float(end[-1])

    def by_stream(self) -> dict[str, NDArray[Any]]:
        """Each stream's matrix as stored, memory-mapped where the format allows it."""
        if set(self.files) != {""}:
            return {name: _checked(path, _load_array(path)) for name, path in self.files.items()}
        path = self.files[""]
        parts = _load_npz(path) if path.suffix == ".npz" else {"": _load_array(path)}
        return _chosen(
            path, {key: _checked(path, part) for key, part in parts.items()}, self.streams
        )


def _chosen(
    path: Path, parts: dict[str, NDArray[Any]], streams: Sequence[str] | None
) -> dict[str, NDArray[Any]]:
    """Streams of a file that holds all of them; an unnamed 2048-d matrix is rgb and flow."""
    if set(parts) == {""}:
        whole = parts[""]
        if whole.shape[1] != TWO_STREAM_WIDTH:
            if streams is not None:
                raise BasnetError(
                    f"{path}: which of its {whole.shape[1]} columns are {' and '.join(streams)} is "
                    "not recorded; do not choose streams"
                )
            return {"features": whole}
        half = TWO_STREAM_WIDTH // 2
        parts = {"rgb": whole[:, :half], "flow": whole[:, half:]}
    for name in streams or ():
        if name not in parts:
            raise BasnetError(f"{path}: no {name} stream in it, it has {' and '.join(parts)}")
    return {name: parts[name] for name in (streams or parts)}


def _load_array(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, which may raise anything
        raise BasnetError(f"{path}: cannot be read as an array ({error})") from error


def _load_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # as above, or from the zip archive
        raise BasnetError(f"{path}: cannot be read as arrays ({error})") from error
    named = {name: arrays[name] for name in STREAMS if name in arrays}
    if named:
        return named
    matrices = [array for array in arrays.values() if array.ndim == 2]
    if len(matrices) != 1:
        raise BasnetError(
            f"{path}: expected arrays 'rgb' and 'flow' or one matrix, found {', '.join(arrays)}"
        )
    return {"": matrices[0]}


def _checked(path: Path, part: NDArray[Any]) -> NDArray[Any]:
    if part.ndim != 2 or not part.size or part.dtype.kind != "f":
        raise BasnetError(
            f"{path}: expected numbers [snippets, width], found {part.dtype} of shape {part.shape}"
        )
    return part


StoredVideo = FileSource | ArraySource

# Folders -----------------------------------------------------------------------------------------


def _features_folder(root: Path) -> Path:
    """``root/features`` where that holds the features (a published data set), else ``root``."""
    inner = root / "features"
    direct = any(
        path.suffix in ARRAY_SUFFIXES or (path.suffix == SUFFIX and other_kind(path) is None)
        for path in root.iterdir()
    )
    return inner if inner.is_dir() and not direct else root


def _array_sources(
    folder: Path, subset: str | None, streams: Sequence[str] | None, grid: ArrayGrid
) -> "list[ArraySource]":
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    divided = bool(inner) and all(path.name.lower() in subsets.NAMES for path in inner)
    if not divided:
        return _array_files(folder, streams, grid)
    if subset is not None:
        inner = [_subset_folder(folder, inner, subset)]
    return [source for path in inner for source in _array_files(path, streams, grid)]


def _subset_folder(folder: Path, inner: Sequence[Path], subset: str) -> Path:
    by_name = {path.name.lower(): path for path in inner}
    for name in subsets.candidates(subset):
        if name in by_name:
            return by_name[name]
    raise BasnetError(
        f"{folder}: no features of the subset '{subset}' (there are {', '.join(by_name)})"
    )


def _array_files(folder: Path, streams: Sequence[str] | None, grid: ArrayGrid) -> list[ArraySource]:
    present = [name for name in STREAMS if (folder / name).is_dir()]
    if not present:
        return [
            ArraySource(name, {"": path}, streams, grid)
            for name, path in _by_id(folder, ARRAY_SUFFIXES)
        ]
    for name in streams or ():
        if name not in present:
            raise BasnetError(f"{folder}: no {name} features, only {' and '.join(present)}")
    chosen = [name for name in present if streams is None or name in streams]
    trees = {name: dict(_by_id(folder / name, (".npy",))) for name in chosen}
    ids = sorted({video for tree in trees.values() for video in tree})
    for name, tree in trees.items():
        lacking = [video for video in ids if video not in tree]
        if lacking:
            other = " and ".join(stream for stream in chosen if stream != name)
            raise BasnetError(
                f"{folder}: {len(lacking)} videos have {other} but no {name} features, such as "
                f"'{lacking[0]}'"
            )
    return [
        ArraySource(video, {name: tree[video] for name, tree in trees.items()}, streams, grid)
        for video in ids
    ]


def _by_id(folder: Path, suffixes: Sequence[str]) -> list[tuple[str, Path]]:
    return [
        (os.path.splitext(name)[0], folder / name)
        for name in names_below(folder)
        if os.path.splitext(name)[1] in suffixes
    ]


def _single(path: Path, streams: Sequence[str] | None, grid: ArrayGrid) -> FileSource | ArraySource:
    if path.suffix == SUFFIX:
        refuse_other_kind(path)
        return FileSource(path.stem, path, streams)
    if path.suffix in ARRAY_SUFFIXES:
        return ArraySource(path.stem, {"": path}, streams, grid)
    raise BasnetError(f"{path}: not a feature file ({SUFFIX}, .npy or .npz)")


def _of_subset(files: Sequence[Path], folder: Path, subset: str | None) -> list[Path]:
    """Feature files of the subset where all are in folders named after subsets; else all."""
    top = {path: path.relative_to(folder).parts[0].lower() for path in files}
    if subset is None or not set(top.values()) <= subsets.NAMES:
        return list(files)
    names = subsets.candidates(subset)
    wanted = next((name for name in names if name in top.values()), None)
    return [path for path in files if wanted is None or top[path] == wanted]


def _refuse_collisions(sources: Sequence[StoredVideo]) -> None:
    seen: dict[str, StoredVideo] = {}
    for source in sources:
        if source.id in seen:
            first = seen[source.id]
            raise BasnetError(
                f"{first.paths[0]} and {source.paths[0]} are both features of '{source.id}'; "
                "name the folder of one subset or rename one"
            )
        seen[source.id] = source
