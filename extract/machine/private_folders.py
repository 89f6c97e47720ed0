"""Folders that nobody but this user can write: for compiled code and downloaded videos."""

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

_substitutes: dict[Path, Path] = {}


def private_folder(wanted: Path) -> Path:
    """The folder ``wanted``, made where it is missing; else a temporary one.

    A temporary folder takes its place where somebody else owns it or can write to it, and where it
    cannot be made or written. It is the same for the whole process, at whose end it is removed.

    Raises:
        OSError: no temporary folder can be made either.
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

    That holds for the folders above it too: whoever can write there can put another folder in its
    place. A sticky folder (``/tmp``) does not allow that. Windows, where folders have no owner in
    this sense, keeps a user's folders private itself.

    Raises:
        OSError: the folder is not there.
    """
    if not hasattr(os, "getuid"):
        return True
    own = folder.lstat()  # a link may lead anywhere
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.getuid() or _others_write(own):
        return False
    return all(_holds_still(above.stat()) for above in folder.resolve().parents)


def _holds_still(above: os.stat_result) -> bool:
    """Whether only this user and root can move what is in a folder."""
    sticky = bool(above.st_mode & stat.S_ISVTX)
    return above.st_uid in (0, os.getuid()) and (sticky or not _others_write(above))


def _others_write(about: os.stat_result) -> bool:
    if about.st_mode & stat.S_IWGRP and not about.st_mode & stat.S_IWOTH:
        return not _own_group(about.st_gid)
    return bool(about.st_mode & stat.S_IWOTH)


def _own_group(number: int) -> bool:
    """Whether a group is that of one user alone, as many systems make one for each."""
    import grp
    import pwd

    with contextlib.suppress(KeyError):
        group, name = grp.getgrgid(number), pwd.getpwuid(os.getuid()).pw_name
        return group.gr_name == name and set(group.gr_mem) <= {name}
    return False
