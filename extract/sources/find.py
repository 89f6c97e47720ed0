"""Which videos a command line names, and what each is called."""

import os
import posixpath
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from extract.errors import ExtractError
from extract.sources import urls
from extract.sources.urls import TransferError, Url

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
            a file that was named itself. Where that does not tell the inputs apart, the path is
            relative to their common folder. It names the feature file and stands in labels and
            results.
        path: the file; it may stand elsewhere (``extract.sources.download`` brings it here).
    """

    id: str
    path: Path | Url


Input = TypeVar("Input", bound=VideoInput)


def find_videos(paths: Sequence[str | os.PathLike[str] | Url]) -> list[VideoInput]:
    """Videos named by files and folders (searched in depth) or URLs of them, in a stable order.

    Raises:
        ExtractError: a path does not exist, a folder holds no video, or two inputs have one id.
        OSError: a folder elsewhere cannot be listed.
    """
    videos: list[tuple[VideoInput, Path | Url]] = []
    for given in map(path_or_url, paths):
        if is_folder(given):
            found = search(given)
            if not found:
                raise ExtractError(
                    f"{given}: no video in this folder (searched for {_SUFFIX_LIST}); a file that "
                    "is named itself is tried whatever its suffix"
                )
            videos.extend((video, given) for video in found)
        else:
            videos.append((VideoInput(given.stem, given), given.parent))
    return with_unique_ids(videos)


def files_by_id(paths: Sequence[Path]) -> dict[str, Path]:
    """Videos of this machine that files and folders name, by their ids.

    Raises:
        ExtractError: as ``find_videos``.
    """
    found = find_videos(paths)
    return {video.id: video.path for video in found if isinstance(video.path, Path)}


def path_or_url(name: str | os.PathLike[str] | Url) -> Path | Url:
    """What a name that a user gave stands for."""
    if isinstance(name, Url):
        return name
    text = os.fspath(name)
    return Url(text) if urls.is_url(text) else Path(text.removeprefix("file://"))


def is_folder(given: Path | Url) -> bool:
    """Whether an input is a folder; False of a file.

    Raises:
        ExtractError: there is nothing of that name, or a URL cannot be asked.
    """
    try:
        if isinstance(given, Url):
            return urls.is_folder(given)
    except FileNotFoundError as error:
        raise ExtractError(f"{given}: no such file or folder") from error
    except TransferError as error:
        raise ExtractError(str(error)) from error
    if not given.exists():
        raise ExtractError(f"{given}: no such file or folder")
    return given.is_dir()


def search(folder: Path | Url) -> list[VideoInput]:
    """Videos of a folder, in depth and in a stable order; hidden files are left out."""
    if isinstance(folder, Url):
        names = [name for name in urls.files_below(folder) if _is_video(name)]
        return [VideoInput(posixpath.splitext(name)[0], folder / name) for name in names]
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and path.suffix.lower() in VIDEO_SUFFIXES:
                found.append(VideoInput(path.relative_to(folder).with_suffix("").as_posix(), path))
    return found


def _is_video(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and posixpath.splitext(name)[1].lower() in VIDEO_SUFFIXES


def with_unique_ids(found: Iterable[tuple[Input, Path | Url]]) -> list[Input]:
    """Each file once, and no two of one id.

    Where two inputs have one id, the ids of all become relative to their common folder.

    Args:
        found: inputs, each with the folder that its id is relative to.

    Raises:
        ExtractError: two inputs have one id in their common folder too.
    """
    entries = _each_once(found)
    if _collision(item for item, _ in entries) is not None:
        entries = _below_common_folder(entries)
    items = [item for item, _ in entries]
    twice = _collision(items)
    if twice is not None:
        one, other = twice
        raise ExtractError(
            f"{one.path} and {other.path} would both be called '{one.id}'; rename one, or give "
            "them to commands of their own"
        )
    return items


def same_name(video_id: str) -> str:
    """The id in the form in which ids are compared (Unicode NFC)."""
    return unicodedata.normalize("NFC", video_id)


def _each_once(found: Iterable[tuple[Input, Path | Url]]) -> list[tuple[Input, Path | Url]]:
    """Inputs without those that name a file again, be it through a link of the same id."""
    seen: set[object] = set()
    kept = []
    for item, folder in found:
        spellings = _spellings(item)
        if not spellings & seen:
            kept.append((item, folder))
        seen |= spellings
    return kept


def _spellings(item: VideoInput) -> set[object]:
    if isinstance(item.path, Url):
        return {item.path}
    return {os.path.abspath(item.path), (item.id, item.path.resolve())}


def _collision(items: Iterable[Input]) -> tuple[Input, Input] | None:
    """The first two of one id."""
    seen: dict[str, Input] = {}
    for item in items:
        other = seen.setdefault(same_name(item.id), item)
        if other is not item:
            return other, item
    return None


def _below_common_folder(entries: list[tuple[Input, Path | Url]]) -> list[tuple[Input, Path | Url]]:
    folders = [_absolute(folder) for _, folder in entries]
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # drives of one machine have no folder in common
        return entries
    return [
        (replace(item, id=(folder.relative_to(common) / item.id).as_posix()), root)
        for (item, root), folder in zip(entries, folders, strict=True)
    ]


def _absolute(folder: Path | Url) -> PurePath:
    """A folder's place among all others, wherever they stand."""
    if isinstance(folder, Url):
        return PurePosixPath("/", folder.scheme, str(folder).partition("://")[2])
    return Path(os.path.abspath(folder))
