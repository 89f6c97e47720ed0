"""Snippet features of many videos, checked to belong together, with or without labels."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.annotations.annotations import Labels
from basnet_e2e.data.annotations.known_times import KnownTimes, Times
from basnet_e2e.data.annotations.training_videos import match_training
from basnet_e2e.data.annotations.video_names import listing, unknown_message
from basnet_e2e.data.features.layouts import StoredVideo, find_stored
from basnet_e2e.errors import BasnetError
from extract.errors import ExtractError
from extract.features.failure_lists import read_failures
from extract.features.settings import settings_difference
from extract.machine.memory import memory_of_machine
from weights.files import cache_folder

log = logging.getLogger(__name__)
Matrix = NDArray[np.float32]
# Share of the machine's memory that features may take before they are kept in a scratch file.
MEMORY_SHARE = 0.4
UNKNOWN_MEMORY = 8 << 30  # assumed if the system does not tell


@dataclass(frozen=True)
class VideoFeatures:
    """Snippet features of one video, the streams side by side.

    Attributes:
        id: the video's id.
        x: ``[T, F] float32``; a read-only memory map where the set does not fit in memory.
        start: ``[T] float64`` seconds.
        end: ``[T] float64`` seconds.
        duration: seconds.
        settings: how the features were made, equal for all videos of a set.
    """

    id: str
    x: Matrix
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    duration: float
    settings: dict[str, Any]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the matrix and its shape."""
        digest = hashlib.sha256(repr((self.x.shape, self.x.dtype.str)).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class FeatureSet:
    """Features of many videos that were made with equal settings."""

    videos: list[VideoFeatures]
    settings: dict[str, Any]

    @property
    def dimension(self) -> int:
        """Width F of the feature rows."""
        return int(self.videos[0].x.shape[1])


@dataclass(frozen=True)
class LabelledSet:
    """Training videos.

    Attributes:
        videos: their features.
        labels: classes of each video, in the same order; an empty tuple is background only.
        classes: all classes in their order.
        settings: how the features were made.
        times: id -> what is known of when its actions happen, for the videos where anything is.
    """

    videos: list[VideoFeatures]
    labels: list[tuple[str, ...]]
    classes: tuple[str, ...]
    settings: dict[str, Any]
    times: Mapping[str, Times] = field(default_factory=dict)

    def subset(self, indices: Iterable[int]) -> "LabelledSet":
        """Some of the videos with their labels."""
        kept = list(indices)
        return replace(
            self,
            videos=[self.videos[index] for index in kept],
            labels=[self.labels[index] for index in kept],
        )

    def targets(self) -> NDArray[np.float32]:
        """Multi-hot labels ``[videos, classes] float32``."""
        column = {name: index for index, name in enumerate(self.classes)}
        targets = np.zeros((len(self.videos), len(self.classes)), np.float32)
        for row, labels in enumerate(self.labels):
            targets[row, [column[name] for name in labels]] = 1
        return targets


def load_features(
    path: str | os.PathLike[str],
    *,
    ids: Collection[str] | None = None,
    subset: str | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
    durations: Mapping[str, float] | None = None,
) -> FeatureSet:
    """Read the features of a folder, or of a single file.

    Readable are our feature files (in depth; id = relative path without suffix),
    ``{rgb,flow}/<video>.npy`` trees, and one ``.npy`` or ``.npz`` file per video; a folder
    ``features/`` and subset folders ``train``, ``test``, ... in it are looked into.

    Args:
        path: folder or file.
        ids: read only these videos.
        subset: read only this subset where the folder is divided into subsets.
        streams: read only these streams. Default: all there are.
        grid: ``fps,length,stride`` of array files, which do not record it. Default: 25,16,16.
        durations: seconds by video id for array files; the last snippet's end elsewhere.

    Raises:
        BasnetError: nothing to read, a damaged file, a stream that is not there, or features that
            were made with different settings.
    """
    root = Path(path)
    sources = find_stored(root, subset=subset, streams=streams, grid=grid)
    known = {source.id for source in sources}
    missing = sorted(set(ids or ()) - known)
    if missing:
        raise BasnetError(f"{root}: no features of {unknown_message(missing, sorted(known))}")
    settings = _common_settings(sources)
    sources = [source for source in sources if ids is None or source.id in ids]
    keep = _keeper(sources)
    notes: dict[str, str] = {}
    videos = []
    for source in sources:
        x, start, end, duration = source.read(notes)
        if durations and not source.timed and source.id in durations:
            duration = durations[source.id]
            end = np.minimum(end, max(duration, start[-1]))
        videos.append(VideoFeatures(source.id, keep(x), start, end, duration, settings))
    if notes:
        lengths = listing([f"{name} ({note})" for name, note in notes.items()])
        text = "%s: videos whose rgb and flow differ in length, cut to the shorter (%d): %s"
        log.warning(text, root, len(notes), lengths)
    return FeatureSet(videos, settings)


def load_labelled(
    features: str | os.PathLike[str],
    labels: str | os.PathLike[str] | Labels | None,
    *,
    times: KnownTimes | None = None,
    classes: Sequence[str] | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
    subset: str = "train",
) -> LabelledSet:
    """Read the training videos: those with features and labels, or known times.

    Of a folder divided into subsets only the training subset is read. Features without labels are
    left out with a message. A label that names an unknown video is an error, except where it is in
    a published database (which may name videos that are gone) or its extraction failed.

    Raises:
        BasnetError: as :func:`load_features` and :func:`read_labels`; a label that matches no video
            or two labels that mean the same one; no class at all.
    """
    root = Path(features)
    sources = find_stored(root, subset=subset, streams=streams, grid=grid)
    ids = [source.id for source in sources]
    matched = match_training(labels, times, ids, str(root), read_failures(root), classes)
    if not matched.classes:
        raise BasnetError(f"{matched.source}: every video is background only, nothing to learn")
    matched.check()
    found = load_features(
        root,
        ids=list(matched.by_id),
        subset=subset,
        streams=streams,
        grid=grid,
        durations=matched.durations,
    )
    return LabelledSet(
        found.videos,
        [matched.by_id[video.id] for video in found.videos],
        matched.classes,
        found.settings,
        matched.times,
    )


def check_settings(
    expected: Mapping[str, Any], found: Mapping[str, Any], left: str | Path, right: str | Path
) -> None:
    """Raise where two sources of features disagree in a setting.

    Raises:
        BasnetError: names the setting and both sources.
    """
    difference = settings_difference(expected, found)
    if difference is not None:
        raise BasnetError(
            f"features of different settings: {difference} ({left} against {right}); extract them "
            "with the same settings"
        )


def _common_settings(sources: Sequence[StoredVideo]) -> dict[str, Any]:
    try:
        first = sources[0].settings()
        for source in sources[1:]:
            check_settings(first, source.settings(), sources[0].paths[0], source.paths[0])
    except ExtractError as error:
        raise BasnetError(str(error)) from error
    return first


def _keeper(sources: Iterable[StoredVideo]) -> Callable[[Matrix], Matrix]:
    """What keeps the matrix of a video: memory, or a scratch file if all together are too large.

    The scratch file is in the cache folder, has no name and is gone with the process.
    """
    needed = sum(source.size for source in sources)
    limit = int(MEMORY_SHARE * (memory_of_machine() or UNKNOWN_MEMORY))
    if needed <= limit:
        return lambda x: x

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    log.warning(
        "features take %.1f GB, more than the %.1f GB of memory set aside for them: mapped from a "
        "scratch file in %s",
        needed / 1e9,
        limit / 1e9,
        folder,
    )
    scratch = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as its maps

    def keep(x: Matrix) -> Matrix:
        offset = scratch.seek(0, os.SEEK_END)
        # Written, not mapped for writing: a full disk is then an error instead of a crash.
        scratch.write(np.ascontiguousarray(x).data)
        scratch.flush()
        return np.memmap(scratch, np.float32, "r", offset, x.shape)

    return keep
