"""Which videos a command line names, and what each is called."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from extract.errors import ExtractError

# What counts as a video when a folder is searched; a file that is named itself is always tried.
VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("3gp", "asf", "avi", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg"),
        *("mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
_SUFFIX_LIST = " ".join(sorted(VIDEO_SUFFIXES))


@dataclass(frozen=True)
class VideoInput:
    """One video to work on.

    Attributes:
        id: path relative to the folder given, ``/`` as separator, last suffix removed; the stem of
            a file that was named itself. It names the feature file and stands in labels and
            results.
        path: the file.
    """

    id: str
    path: Path


def find_videos(paths: Sequence[str | os.PathLike[str]]) -> list[VideoInput]:
    """Videos named by files and folders (searched in depth), in a stable order.

    Raises:
        ExtractError: a path does not exist, a folder holds no video, or two inputs have one id.
    """
    videos: list[VideoInput] = []
    for given in map(Path, paths):
        if given.is_dir():
            found = _search(given)
            if not found:
                raise ExtractError(
                    f"{given}: no video in this folder (searched for {_SUFFIX_LIST}); a file that "
                    "is named itself is tried whatever its suffix"
                )
            videos.extend(found)
        elif given.exists():
            videos.append(VideoInput(given.stem, given))
        else:
            raise ExtractError(f"{given}: no such file or folder")
    return _without_collisions(videos)


def _search(folder: Path) -> list[VideoInput]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES:
                found.append(VideoInput(path.relative_to(folder).with_suffix("").as_posix(), path))
    return found


def _without_collisions(videos: list[VideoInput]) -> list[VideoInput]:
    seen: dict[str, Path] = {}
    unique = []
    for video in videos:
        if video.id not in seen:
            seen[video.id] = video.path
            unique.append(video)
        elif seen[video.id].resolve() != video.path.resolve():
            raise ExtractError(
                f"{seen[video.id]} and {video.path} would both be called '{video.id}'; "
                "rename one or extract them into different folders"
            )
    return unique
