"""A folder of feature files by the videos' ids, on this machine or at a URL."""

import errno
import glob
import hashlib
import logging
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from extract.errors import DiskError, ExtractError
from extract.features.feature_file import SUFFIX, Features, read_meta, read_meta_of_bytes
from extract.machine.file_locks import lock
from extract.sources import storage
from extract.sources.storage import Version
from extract.sources.urls import WEB, TransferError, Url
from weights.files import cache_folder

log = logging.getLogger(__name__)

Meta = dict[str, Any]
AT_A_TIME = 16  # headers that are requested from a URL at the same time
HEADER_BYTES = 1 << 16  # holds the header of any feature file


def check_there(folder: Path) -> None:
    """Raise a ``DiskError`` if a folder is gone: a share is unmounted, a disk is unplugged.

    That is not the fault of a video, and a new folder would silently be on another disk.
    """
    if not folder.is_dir():
        raise DiskError(errno.ENOENT, "this folder is gone", os.fspath(folder))


class OutputFolder:
    """Feature files, and who writes which of them.

    Several processes may share it. Locks and checkpoints of a URL are in this machine's cache:
    processes of one machine share the work, those of several machines need shards.

    Attributes:
        folder: where the files are.
        local: folder of this machine for locks and checkpoints.

    Raises:
        ExtractError: nothing can be written to such a URL.
    """

    def __init__(self, folder: Path | Url) -> None:
        self.folder = folder
        if isinstance(folder, Path):
            self.local = folder
            return
        if folder.scheme in WEB:
            raise ExtractError(f"{folder}: nothing can be written over {folder.scheme}://")
        key = hashlib.sha256(folder.text.encode()).hexdigest()[:16]
        self.local = cache_folder() / "elsewhere" / key

    def file(self, video_id: str) -> Path | Url:
        """The feature file of a video."""
        return self.folder / f"{video_id}{SUFFIX}"

    def lock(self, video_id: str, patience: float = -1) -> AbstractContextManager[bool]:
        """See `extract.machine.file_locks.lock`."""
        return lock(self.local, video_id, patience)

    def check_there(self) -> None:
        """Raise a ``DiskError`` if the folder is gone; a URL shows that when it is written."""
        if isinstance(self.folder, Path):
            check_there(self.folder)

    def check_writable(self, replaced: Collection[str], force: bool) -> None:
        """Check before work starts that a URL can be written.

        Args:
            replaced: ids of videos whose files will be replaced.
            force: replace a file of another kind too.

        Raises:
            ExtractError: it cannot be written, or a file to replace holds no features.
        """
        probe = self.folder / ".writable"
        try:
            storage.write(probe, b"")
            storage.remove(probe)
        except OSError as error:
            raise ExtractError(f"{self.folder}: cannot be written ({error.strerror})") from error
        for video_id in () if force else replaced:
            if self.meta(video_id) is None:
                raise ExtractError(
                    f"{self.file(video_id)}: holds no features and is not overwritten; choose "
                    "another output, or --force"
                )

    def metas(self, without: Collection[str] = ()) -> dict[str, Meta | None]:
        """Metadata of all feature files by the videos' ids, None if it cannot be read."""
        files = [name for name in storage.names_below(self.folder) if name.endswith(SUFFIX)]
        ids = [name.removesuffix(SUFFIX) for name in sorted(files)]
        wanted = [video_id for video_id in ids if video_id not in without]
        if isinstance(self.folder, Path):
            return {video_id: self.meta(video_id) for video_id in wanted}
        pool = ThreadPoolExecutor(AT_A_TIME)
        try:
            return dict(zip(wanted, pool.map(self.meta, wanted), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for those that have not begun

    def meta(self, video_id: str) -> Meta | None:
        """Metadata of a video's feature file; None if there is none, or it cannot be read."""
        file = self.file(video_id)
        try:
            if isinstance(file, Path):
                return read_meta(file) if file.exists() else None
            return read_meta_of_bytes(file, _start_of(file))
        except FileNotFoundError:
            return None
        except ExtractError as error:
            log.warning("%s; not counted as done", error)
            return None

    def version(self, video_id: str) -> Version | None:
        """The version of a video's feature file; None if there is none."""
        return storage.version(self.file(video_id))

    def save(self, features: Features, video_id: str) -> None:
        """Write the features of a video, whole or not at all; a ``DiskError`` if that fails."""
        file = self.file(video_id)
        self.check_there()
        try:
            storage.write(file, features.to_bytes(file))
        except OSError as error:
            raise DiskError.of(error, str(file)) from error

    def remove_half_written(self, video_id: str) -> None:
        """Remove what a process that was killed while writing left."""
        file = self.file(video_id)
        if isinstance(file, Path):
            for part in file.parent.glob(f".{glob.escape(file.name)}.*.part"):
                part.unlink(missing_ok=True)


def _start_of(file: Url) -> bytes:
    try:
        return storage.read(file, 0, HEADER_BYTES)
    except TransferError:
        if storage.about(file).size:
            raise
        return b""  # an empty object has no part that could be read
