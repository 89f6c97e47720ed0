"""Ids of the videos that a folder holds, as features or as video files."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from basnet_e2e.data.annotations.video_names import FEATURE_SUFFIXES
from basnet_e2e.data.features.layouts import find_stored
from basnet_e2e.errors import BasnetError
from extract.sources.find import VIDEO_SUFFIXES, find_videos
from extract.sources.storage import names_below


@dataclass(frozen=True)
class FolderIds:
    """Ids of what a folder (or file) holds.

    Attributes:
        features: videos with features that training would read.
        videos: video files.
    """

    features: tuple[str, ...]
    videos: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Each video once, whether there are features of it, a video file or both."""
        return tuple(sorted({*self.features, *self.videos}))


def find_ids(path: str | os.PathLike[str]) -> FolderIds:
    """Ids of all videos below a folder, or of one file; of features in subsets those of training.

    Raises:
        BasnetError: there is neither a video nor a feature file.
        ExtractError: two videos would have one id.
    """
    root = Path(path)
    if not root.exists():
        raise BasnetError(f"{root}: no such file or folder")
    features: list[str] = []
    videos: list[str] = []
    if _holds(root, FEATURE_SUFFIXES):
        sources = find_stored(root, subset="train")
        features = [source.id for source in sources]
    if _holds(root, VIDEO_SUFFIXES) or (root.is_file() and not features):
        videos = [video.id for video in find_videos([root])]
    if not features and not videos:
        raise BasnetError(f"{root}: neither videos nor features in this folder")
    return FolderIds(tuple(features), tuple(videos))


def _holds(root: Path, suffixes: Iterable[str]) -> bool:
    """Whether there is a visible file with one of these suffixes."""
    wanted = set(suffixes)
    if root.is_file():
        return root.suffix.lower() in wanted
    return any(os.path.splitext(name)[1].lower() in wanted for name in names_below(root))
