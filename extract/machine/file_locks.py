"""Who works on which video: lock files that several processes on one features folder respect.

The lock is the operating system's on an open file, so it ends with its owner however that ends; the
file that a crashed owner leaves behind is taken over by whoever comes next.
"""

import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

UNFINISHED = ".unfinished"

POLL_SECONDS = 0.2
MOST_TRIES = 1000
LIST = "list-of-failures"
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}
_warned: set[Path] = set()


@contextlib.contextmanager
def claim(folder: Path, video_id: str, patience: float = 0.0) -> Iterator[bool]:
    """Inside the block this process alone works on a video, if the block is told True.

    Args:
        folder: the features folder.
        video_id: the video.
        patience: seconds to wait for another process to be done with it.

    Raises:
        OSError: the folder cannot be written.
    """
    with _locked(folder, f"{video_id}.lock", patience) as held:
        yield held


@contextlib.contextmanager
def listing(folder: Path) -> Iterator[None]:
    """Inside the block this process alone changes the folder's lists of failures.

    Raises:
        OSError: the folder cannot be written.
    """
    with _locked(folder, LIST, patience=float("inf")):
        yield


@contextlib.contextmanager
def _locked(folder: Path, name: str, patience: float) -> Iterator[bool]:
    root = folder / UNFINISHED
    path = root / name
    deadline = time.monotonic() + patience
    while (handle := _try(path)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        _release(handle, path)
        remove_empty(path.parent, root)


def _try(path: Path) -> int | None:
    """Descriptor of a lock file that is now ours, or None."""
    handle = _opened(path)
    try:
        _lock(handle)
    except OSError as error:
        if error.errno in NO_LOCKS:
            _warn(path.parent)
            return handle
        os.close(handle)
        return None
    # Its owner may have removed it between our opening and locking it: then it locks nothing.
    try:
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except FileNotFoundError:
        pass
    os.close(handle)
    return _try(path)


def _opened(path: Path) -> int:
    """Descriptor of a lock file that is there now, whoever made it."""
    tries = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (FileNotFoundError, FileExistsError):
            # Another process may remove the empty folder, or one above it, at any time in between:
            # ``mkdir`` then misses the one above, or finds a folder that is none when it looks.
            tries += 1
            if tries == MOST_TRIES:
                raise


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(handle: int, path: Path) -> None:
    """Remove the file while it is locked, so that nobody waits for one that is gone."""
    if sys.platform == "win32":
        os.close(handle)  # an open file cannot be removed there
        with contextlib.suppress(OSError):
            path.unlink()
        return
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(handle)


def _warn(folder: Path) -> None:
    if folder not in _warned:
        _warned.add(folder)
        log.warning(
            "%s: this file system knows no locks, so only one process at a time may extract into "
            "this folder",
            folder.parent,
        )


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it up to ``root``, as far as they are empty."""
    with contextlib.suppress(OSError):
        while folder != root.parent:
            folder.rmdir()
            folder = folder.parent
