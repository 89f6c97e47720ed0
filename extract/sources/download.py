"""A temporary copy of a video from a URL.

Each process has one at a time and removes it after use. What a killed process left, the next one
that downloads removes.
"""

import contextlib
import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from extract.errors import DiskError, ExtractError, VideoError
from extract.machine.file_locks import lock
from extract.machine.private_folders import private_folder
from extract.sources.find import safe_id
from extract.sources.storage import About, about, read
from extract.sources.urls import TransferError, Url, file_system, patiently

LONGEST_SUFFIX = 16
PIECE = 16 << 20  # bytes: what a dropped connection may cost
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def local_copy(video: Path | Url) -> Iterator[Path]:
    """Inside the block the video is a file on this machine; errors name the original.

    Raises:
        VideoError: there is no such object, the connection fails, or the disk is too small.
        DiskError: the temporary folder cannot be written.
    """
    if isinstance(video, Path):
        yield video
        return
    with _private_copy() as folder:
        copy = folder / f"{safe_id(video.stem) or 'video'}{video.suffix[:LONGEST_SUFFIX]}"
        try:
            download(video, copy)
        except FileNotFoundError as error:
            raise VideoError(f"{video}: no such file or folder") from error
        except TransferError as error:
            raise VideoError(str(error)) from error
        try:
            yield copy
        except ExtractError as error:
            if str(copy) not in str(error):
                raise
            raise type(error)(str(error).replace(str(copy), str(video))) from error


def download(video: Url, target: Path) -> None:
    """Copy an object into a new file, in pieces if the server supports that.

    Raises:
        FileNotFoundError: there is no such object.
        TransferError: the connection fails, or the object changes during the download.
        VideoError: the disk has no space for it.
        DiskError: the file cannot be written.
    """
    before = about(video)
    _check_space(video, before, target.parent)
    try:
        if before.ranged:
            _by_pieces(video, before.size or 0, target)
        else:
            system, path = file_system(video)
            patiently(video, lambda: system.get_file(path, os.fspath(target)))
    except TransferError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise DiskError.of(cause, target) from error
        raise
    found = target.stat().st_size
    if before.size is not None and found != before.size:
        text = f"only {found} of {before.size} bytes arrived"
        raise TransferError(errno.EIO, text, str(video))
    if about(video).version != before.version:
        raise TransferError(errno.EIO, "changed while it was downloaded", str(video))


def _by_pieces(video: Url, size: int, target: Path) -> None:
    with target.open("wb") as file:
        for start in range(0, size, PIECE):
            piece = read(video, start, min(start + PIECE, size))
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise DiskError.of(error, target) from error


def _check_space(video: Url, found: About, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if found.size is not None and found.size > free:
        raise VideoError(
            f"{video}: {found.size / 1e9:.2f} GB do not fit into {folder.parent}, where "
            f"{free / 1e9:.2f} GB are free; name another folder in TMPDIR"
        )


@contextlib.contextmanager
def _private_copy() -> Iterator[Path]:
    """A folder for one video, removed after the block, or by the next process if this one dies."""
    root = _root()
    folder = root / uuid.uuid4().hex
    with lock(root, folder.name):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    """This user's folder of downloaded videos; those of processes that died are removed."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    root = Path(tempfile.gettempdir()) / f"basnet-{user}"
    try:
        root = private_folder(root)
        for folder in root.iterdir():
            if folder.name.startswith("."):
                continue
            with lock(root, folder.name, patience=0) as ours:
                if ours:
                    shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise DiskError.of(error, error.filename or root) from error
    return root
