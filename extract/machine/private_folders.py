"""Folders that only this user can write: for compiled code and downloaded videos."""

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

_substitutes: dict[Path, Path] = {}


def private_folder(wanted: Path) -> Path:
    """The folder ``wanted``, created if missing.

    If somebody else owns it or can write to it, or if it cannot be created or written, a temporary
    folder takes its place until the process ends.

    Raises:
        OSError: no temporary folder can be created either.
    """
    with contextlib.suppress(OSError):
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(wanted) and os.access(wanted, os.W_OK | os.X_OK):
            return wanted.resolve()
    if wanted not in _substitutes or not _substitutes[wanted].is_dir():
        _substitutes[wanted] = Path(tempfile.mkdtemp(prefix=f"{wanted.name}-"))
        atexit.register(shutil.rmtree, _substitutes[wanted], ignore_errors=True)
    return _substitutes[wanted]


def is_private(folder: Path) -> bool:
    """Whether this user owns a folder and nobody else but root can put anything into it.

    Whoever can write to a folder above could replace it, unless that is sticky (``/tmp``). Windows,
    where folders have no such owner, keeps a user's folders private itself.

    Raises:
        OSError: the folder does not exist.
    """
    if not hasattr(os, "getuid"):
        return True
    own = folder.lstat()  # a link may lead anywhere
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.getuid() or _others_write(own):
        return False
    return all(_holds_still(above.stat()) for above in folder.resolve().parents)


def _holds_still(above: os.stat_result) -> bool:
    """Whether only this user and root can move the contents of a folder."""
    sticky = bool(above.st_mode & stat.S_ISVTX)
    return above.st_uid in (0, os.getuid()) and (sticky or not _others_write(above))


def _others_write(about: os.stat_result) -> bool:
    if about.st_mode & stat.S_IWGRP and not about.st_mode & stat.S_IWOTH:
        return not _own_group(about.st_gid)
    return bool(about.st_mode & stat.S_IWOTH)


def _own_group(number: int) -> bool:
    """Whether a group has only this user, as many systems create one for each user."""
    import grp
    import pwd

    with contextlib.suppress(KeyError):
        group, name = grp.getgrgid(number), pwd.getpwuid(os.getuid()).pw_name
        return group.gr_name == name and set(group.gr_mem) <= {name}
    return False
