"""Lock files in a folder that several processes share: which process works on which video.

A lock is the operating system's on an open file, so it always ends with its owner.
"""

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger(__name__)

UNFINISHED = ".unfinished"
FAILURE_LISTS = "list-of-failures"
POLL_SECONDS = 0.2
MOST_TRIES = 1000
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_warned: set[Path] = set()


@contextlib.contextmanager
def lock(folder: Path, name: str, patience: float = -1) -> Iterator[bool]:
    """Inside the block no other process holds this lock, if the block is given True.

    Args:
        folder: the lock file is in a hidden folder of this one.
        name: what is locked, such as the id of a video.
        patience: seconds to wait for another owner; a negative number waits without a limit.

    Raises:
        OSError: the folder cannot be written.
    """
    from filelock import FileLock

    root = folder / UNFINISHED
    path = root / f"{name}.lock"
    held = FileLock(path, timeout=patience, poll_interval=POLL_SECONDS, fallback_to_soft=False)
    locked = False
    try:
        locked = _acquire(held, path, folder)
        yield locked
    finally:
        if locked or held.is_locked:  # Ctrl-C may come between the two
            # While it is locked, so that nobody waits for a file that is gone; Windows keeps it.
            with contextlib.suppress(OSError):
                path.unlink()
        held.release()
        remove_empty(path.parent, root)


def _acquire(held: "FileLock", path: Path, folder: Path) -> bool:
    """Whether the lock is held, or the file system has none; False if another owner keeps it."""
    from filelock import Timeout

    for tries_left in reversed(range(MOST_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.acquire()
            break
        except (FileNotFoundError, FileExistsError):
            # Another process may remove the empty folder, or one above it, at any time.
            if not tries_left:
                raise
        except Timeout:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            if folder not in _warned:
                _warned.add(folder)
                log.warning(
                    "%s: this file system has no locks, so only one process at a time may write "
                    "here",
                    folder,
                )
            break
    return True


def remove_empty(folder: Path, root: Path) -> None:
    """Remove empty folders from ``folder`` up to ``root``."""
    with contextlib.suppress(OSError):
        while folder != root.parent:
            folder.rmdir()
            folder = folder.parent
