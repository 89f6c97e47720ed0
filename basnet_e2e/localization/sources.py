"""What `localize` is given: video files, feature files, folders of either, published layouts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from basnet_e2e.data.dataset import VideoFeatures, load_features
from basnet_e2e.intervals import Localization
from extract.features import SUFFIX, Features
from extract.inputs import VideoInput, find_videos

if TYPE_CHECKING:
    from basnet_e2e.localization.localizer import Localizer

ARRAY_SUFFIXES = (".npy", ".npz")
Progress = Callable[[int, int], None]


class Source(Protocol):
    """One video in some form that a ``Localizer`` can work on."""

    @property
    def id(self) -> str:
        """Id of the video."""

    @property
    def path(self) -> Path:
        """File that is read."""

    def localize(self, localizer: "Localizer", progress: Progress) -> Localization:
        """All proposals of the video."""


@dataclass(frozen=True)
class VideoSource:
    """A video file."""

    video: VideoInput

    @property
    def id(self) -> str:
        """Id of the video."""
        return self.video.id

    @property
    def path(self) -> Path:
        """The video file."""
        return self.video.path

    def localize(self, localizer: "Localizer", progress: Progress) -> Localization:
        """Extract features, then find intervals."""
        return localizer.video(self.video, progress)


@dataclass(frozen=True)
class FeatureSource:
    """A feature file."""

    id: str
    path: Path

    def localize(self, localizer: "Localizer", progress: Progress) -> Localization:
        """Find intervals in the stored features."""
        return localizer.features(Features.load(self.path), self.id)


@dataclass(frozen=True)
class RowsSource:
    """Rows that were read from a published layout (.npy, .npz)."""

    rows: VideoFeatures
    path: Path

    @property
    def id(self) -> str:
        """Id of the video."""
        return self.rows.id

    def localize(self, localizer: "Localizer", progress: Progress) -> Localization:
        """Find intervals in the rows."""
        return localizer.rows(self.rows)


def find_sources(
    paths: Sequence[str | os.PathLike[str]], *, grid: str | None = None
) -> list[Source]:
    """Everything that the paths of a command line name, in their order.

    A folder is taken as features if it holds any, else as videos.

    Args:
        paths: files and folders.
        grid: ``fps,length,stride`` of array files, which do not record it; 25,16,16 by default.

    Raises:
        ExtractError: a path does not exist or holds nothing to work on.
        BasnetError: features that cannot be read.
    """
    sources: list[Source] = []
    for given in map(Path, paths):
        stored = sorted(given.rglob(f"*{SUFFIX}")) if given.is_dir() else []
        if given.suffix == SUFFIX and given.is_file():
            sources.append(FeatureSource(given.stem, given))
        elif stored:
            sources.extend(
                FeatureSource(path.relative_to(given).with_suffix("").as_posix(), path)
                for path in stored
            )
        elif _holds_arrays(given):
            rows = load_features(given, grid=grid).videos
            sources.extend(RowsSource(video, given) for video in rows)
        else:
            sources.extend(VideoSource(video) for video in find_videos([given]))
    return sources


def _holds_arrays(path: Path) -> bool:
    if path.is_dir():
        return any(next(path.rglob(f"*{suffix}"), None) for suffix in ARRAY_SUFFIXES)
    return path.suffix in ARRAY_SUFFIXES and path.is_file()
