"""Where feature files and lists of failures are written: a folder of this machine, or a URL."""

import contextlib
import glob
import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.features.feature_file import (
    SUFFIX,
    Features,
    feature_path,
    read_meta,
    read_meta_of_bytes,
)
from extract.features.missing_folders import check_there
from extract.sources import urls
from extract.sources.urls import TransferError, Url
from weights.files import atomic_write, cache_folder

log = logging.getLogger(__name__)

Stamp = tuple[object, ...]
"""What tells two files of one name apart."""

Metas = dict[str, dict[str, Any] | None]
LISTS = "failures*.json"
AT_A_TIME = 16  # headers that are asked for at the same time
HEADER_BYTES = 1 << 16  # holds the header of any feature file


class Place(ABC):
    """A folder of outputs.

    Attributes:
        local: folder of this machine for locks and unfinished parts.
    """

    local: Path

    def check_there(self) -> None:  # noqa: B027 - a URL tells when it is written
        """Stop where the folder has gone since the work began.

        Raises:
            DiskError: it is gone.
        """

    @abstractmethod
    def metas(self, without: Collection[str] = ()) -> Metas:
        """Metadata of all feature files by the videos' ids, None of one that cannot be read."""

    @abstractmethod
    def meta(self, video_id: str) -> dict[str, Any] | None:
        """Metadata of the features of a video; None where there are none that can be read."""

    @abstractmethod
    def stamp(self, video_id: str) -> Stamp | None:
        """What tells the feature file of a video from another; None where there is none."""

    @abstractmethod
    def keep(self, features: Features, video_id: str) -> None:
        """Write the features of a video, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """

    @abstractmethod
    def remove_half_written(self, video_id: str) -> None:
        """Remove what a process that was killed while writing has left."""

    @abstractmethod
    def lists(self) -> list[str]:
        """Names of the files at the top that may list failures."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file at the top.

        Raises:
            FileNotFoundError: there is none.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file at the top, whole or not at all."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file at the top if it is there."""


class Folder(Place):
    """A folder of this machine, which several processes and machines may share."""

    def __init__(self, folder: Path) -> None:
        self.local = folder

    def check_there(self) -> None:
        """See ``Place``."""
        check_there(self.local)

    def metas(self, without: Collection[str] = ()) -> Metas:
        """See ``Place``."""
        found = sorted(self.local.rglob(f"*{SUFFIX}"))
        ids = [path.relative_to(self.local).as_posix().removesuffix(SUFFIX) for path in found]
        return {video_id: self.meta(video_id) for video_id in ids if video_id not in without}

    def meta(self, video_id: str) -> dict[str, Any] | None:
        """See ``Place``."""
        path = feature_path(self.local, video_id)
        return _or_none(lambda: read_meta(path)) if path.exists() else None

    def stamp(self, video_id: str) -> Stamp | None:
        """Number on the disk and time of change."""
        try:
            about = feature_path(self.local, video_id).stat()
        except OSError:
            return None
        return about.st_ino, about.st_mtime_ns

    def keep(self, features: Features, video_id: str) -> None:
        """See ``Place``."""
        features.save(feature_path(self.local, video_id))

    def remove_half_written(self, video_id: str) -> None:
        """See ``Place``."""
        path = feature_path(self.local, video_id)
        for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            part.unlink(missing_ok=True)

    def lists(self) -> list[str]:
        """See ``Place``."""
        return sorted(path.name for path in self.local.glob(LISTS) if path.is_file())

    def read(self, name: str) -> bytes:
        """See ``Place``."""
        return (self.local / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """See ``Place``."""
        with atomic_write(self.local / name) as file:
            file.write(data)

    def remove(self, name: str) -> None:
        """See ``Place``."""
        (self.local / name).unlink(missing_ok=True)


class Elsewhere(Place):
    """A folder that a URL names; every file is put there in one piece.

    Locks and unfinished parts stand in this machine's cache: processes of one machine share the
    work, those of several machines need shards.
    """

    def __init__(self, folder: Url) -> None:
        if folder.scheme in urls.WEB:
            raise ExtractError(f"{folder}: nothing can be written over {folder.scheme}://")
        self.folder = folder
        key = hashlib.sha256(folder.text.encode()).hexdigest()[:16]
        self.local = cache_folder() / "elsewhere" / key

    def check(self, replaced: Collection[str], force: bool) -> None:
        """See before work starts that the folder can be written.

        Args:
            replaced: ids of videos whose files there will be replaced.
            force: replace a file of another kind too.

        Raises:
            ExtractError: it cannot be written, or a file to replace holds no features.
        """
        probe = self.folder / ".writable"
        try:
            urls.write(probe, b"")
            urls.remove(probe)
        except OSError as error:
            raise ExtractError(f"{self.folder}: cannot be written ({error.strerror})") from error
        for video_id in () if force else replaced:
            if self.meta(video_id) is None:
                raise ExtractError(
                    f"{self._features(video_id)}: holds no features and is not overwritten; choose "
                    "another output, or --force"
                )

    def metas(self, without: Collection[str] = ()) -> Metas:
        """See ``Place``."""
        try:
            found = urls.files_below(self.folder)
        except FileNotFoundError:
            return {}
        ids = [name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX)]
        wanted = [video_id for video_id in ids if video_id not in without]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            return dict(zip(wanted, pool.map(self.meta, wanted), strict=True))

    def meta(self, video_id: str) -> dict[str, Any] | None:
        """See ``Place``."""
        url = self._features(video_id)
        try:
            start = urls.read(url, 0, HEADER_BYTES)
        except FileNotFoundError:
            return None
        except TransferError:
            if urls.about(url).size:
                raise
            start = b""  # nothing is no part of which could be read
        return _or_none(lambda: read_meta_of_bytes(url, start))

    def _features(self, video_id: str) -> Url:
        return self.folder / f"{video_id}{SUFFIX}"

    def stamp(self, video_id: str) -> Stamp | None:
        """What the file system says of the object's version."""
        with contextlib.suppress(FileNotFoundError):
            return urls.about(self._features(video_id)).version
        return None

    def keep(self, features: Features, video_id: str) -> None:
        """See ``Place``."""
        url = self._features(video_id)
        urls.write(url, features.to_bytes(url))

    def remove_half_written(self, video_id: str) -> None:
        """There is no half object."""

    def lists(self) -> list[str]:
        """See ``Place``."""
        return urls.matching(self.folder, LISTS)

    def read(self, name: str) -> bytes:
        """See ``Place``."""
        return urls.read(self.folder / name)

    def write(self, name: str, data: bytes) -> None:
        """See ``Place``."""
        urls.write(self.folder / name, data)

    def remove(self, name: str) -> None:
        """See ``Place``."""
        urls.remove(self.folder / name)


def place_of(folder: Path | Url) -> Place:
    """The place that a folder's name stands for.

    Raises:
        ExtractError: nothing can be written there.
    """
    return Elsewhere(folder) if isinstance(folder, Url) else Folder(folder)


def _or_none(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return read()
    except ExtractError as error:
        log.warning("%s; not counted as done", error)
        return None
