"""Which videos a command line names, and what each is called."""

import hashlib
import logging
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from extract.errors import ExtractError
from extract.sources import storage
from extract.sources.storage import is_folder
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)

# What counts as a video in a folder; a file given by name is always tried.
VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("264", "265", "266", "3g2", "3gp", "3gpp", "amv", "asf", "av1", "avc", "avi", "divx"),
        *("dv", "f4v", "flv", "gif", "gxf", "h261", "h263", "h264", "h265", "h266", "hevc", "ivf"),
        *("m1v", "m2p", "m2t", "m2ts", "m2v", "m4v", "mj2", "mjpeg", "mjpg", "mk3d", "mkv", "mov"),
        *("mp4", "mp4v", "mpe", "mpeg", "mpg", "mpv", "mts", "mxf", "nsv", "nut", "obu", "ogm"),
        *("ogv", "ogx", "qt", "rm", "rmvb", "roq", "tod", "tp", "trp", "ts", "vc1", "vob", "vro"),
        *("vvc", "webm", "wmv", "wtv", "y4m"),
    )
)
LONGEST_NAME = 228
"""Bytes of a part of an id: a file's name adds a suffix and the marks of a temporary file."""
SHOWN_SUFFIXES = 5
SUFFIX = re.compile(r"\.\w{1,11}")
SURROGATE = re.compile("[\ud800-\udfff]")  # by which Python writes a byte that is not UTF-8


@dataclass(frozen=True)
class VideoInput:
    """One video to work on.

    Attributes:
        id: path relative to the given folder, ``/`` as separator, last suffix removed; the stem of
            a file given by name. If two inputs would have one id, paths are relative to their
            common folder. It names the feature file, and the video in labels and results; what
            cannot be written there is replaced (see ``safe_id``).
        path: the file, or its URL.
    """

    id: str
    path: Path | Url

    @property
    def file(self) -> str:
        """Name of the file, for results."""
        return printable(self.path.name)


Input = TypeVar("Input", bound=VideoInput)


def find_videos(paths: Sequence[str | os.PathLike[str] | Url]) -> list[VideoInput]:
    """Videos of files and folders (searched in depth) or URLs of them, in a stable order.

    Raises:
        ExtractError: a path does not exist, a folder holds no video, or two inputs have one id.
        OSError: the folder of a URL cannot be listed.
    """
    videos: list[tuple[VideoInput, Path | Url]] = []
    for given in map(path_or_url, paths):
        if is_folder(given):
            found = search(given)
            if not found:
                raise ExtractError(
                    f"{given}: no video in this folder; a file that is named itself is tried "
                    "whatever its suffix"
                )
            videos.extend((video, given) for video in found)
        else:
            videos.append((VideoInput(safe_id(given.stem), given), given.parent))
    return with_unique_ids(videos)


def files_by_id(paths: Sequence[Path]) -> dict[str, Path]:
    """As ``find_videos``: those on this machine, by their ids."""
    found = find_videos(paths)
    return {video.id: video.path for video in found if isinstance(video.path, Path)}


def search(folder: Path | Url, read: Collection[str] = ()) -> list[VideoInput]:
    """Videos of a folder, in depth and in a stable order, without hidden ones.

    Other files and links to folders are counted in a line of the log, except files with a suffix of
    ``read``, which the caller reads.
    """
    taken = VIDEO_SUFFIXES.union(read)
    suffixes = {name: posixpath.splitext(name)[1].lower() for name in storage.names_below(folder)}
    links = [] if isinstance(folder, Url) else _linked_folders(folder)
    _log_ignored(folder, [s for s in suffixes.values() if s not in taken], links)
    return [
        VideoInput(safe_id(posixpath.splitext(name)[0]), folder / name)
        for name, suffix in suffixes.items()
        if suffix in VIDEO_SUFFIXES
    ]


def _linked_folders(folder: Path) -> list[str]:
    return [
        (Path(root) / name).relative_to(folder).as_posix()
        for root, folders, _ in os.walk(folder)
        for name in folders
        if not name.startswith(".") and (Path(root) / name).is_symlink()
    ]


def _log_ignored(folder: Path | Url, suffixes: Sequence[str], links: Sequence[str]) -> None:
    counts = Counter(filter(SUFFIX.fullmatch, suffixes)).most_common(SHOWN_SUFFIXES)
    parts = [f"{count} {suffix}" for suffix, count in counts]
    if rest := len(suffixes) - sum(count for _, count in counts):
        parts.append(f"{rest} without a suffix")
    if links:
        more = ", ..." * (len(links) > 1)
        parts.append(f"{len(links)} linked folder{'s' * (len(links) > 1)} ({links[0]}{more})")
    if parts:
        log.info("%s: not taken for videos: %s", folder, ", ".join(parts))


def safe_id(name: str) -> str:
    r"""The id of a relative path, fit for JSON, tables and names of files.

    Bytes that are not UTF-8 are percent-escaped, and so are the dots of ``..``. A part that is too
    long for the name of a file is cut and ends in a hash of the whole.

    >>> safe_id("caf\\udce9/../a")
    'caf%E9/%2E%2E/a'
    """
    return "/".join(map(_safe_part, printable(name).split("/")))


def _safe_part(part: str) -> str:
    if part in (".", ".."):  # names in an object store
        return part.replace(".", "%2E")
    whole = part.encode()
    if len(whole) <= LONGEST_NAME:
        return part
    digest = hashlib.sha256(whole).hexdigest()[:16]
    return f"{whole[: LONGEST_NAME - 17].decode('utf-8', 'ignore')}~{digest}"


def printable(text: str) -> str:
    """A path, or a text with paths, in which bytes that are not UTF-8 are percent-escaped."""
    return SURROGATE.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def with_unique_ids(found: Iterable[tuple[Input, Path | Url]]) -> list[Input]:
    """Each file once, with an id of its own.

    If two inputs have one id, all ids become relative to the common folder.

    Args:
        found: inputs, each with the folder that its id is relative to.

    Raises:
        ExtractError: two inputs have one id relative to the common folder too.
    """
    entries = _each_once(found)
    for rename in (_below_common_folder, _with_hashes):
        if _collision(item for item, _ in entries):
            entries = rename(entries)
    items = [item for item, _ in entries]
    if twice := _collision(items):
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
    """Inputs without those that repeat a file, also by a link of the same id."""
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


def _with_hashes(entries: list[tuple[Input, Path | Url]]) -> list[tuple[Input, Path | Url]]:
    """A hash after each id that had to be escaped: another file may have the escaped name."""

    def with_hash(item: Input) -> Input:
        name = os.fsencode(str(item.path))
        if name.decode("utf-8", "ignore").encode() == name:
            return item
        return replace(item, id=f"{item.id}~{hashlib.sha256(name).hexdigest()[:16]}")

    return [(with_hash(item), folder) for item, folder in entries]


def _below_common_folder(entries: list[tuple[Input, Path | Url]]) -> list[tuple[Input, Path | Url]]:
    folders = [_absolute(folder) for _, folder in entries]
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # drives of one machine have no folder in common
        return entries
    return [
        (replace(item, id=safe_id((folder.relative_to(common) / item.id).as_posix())), root)
        for (item, root), folder in zip(entries, folders, strict=True)
    ]


def _absolute(folder: Path | Url) -> PurePath:
    """A folder's absolute path; that of a URL begins with its scheme."""
    if isinstance(folder, Url):
        place = str(folder).partition("://")[2].removeprefix("***@")
        return PurePosixPath("/", folder.scheme, place)
    return Path(os.path.abspath(folder))
