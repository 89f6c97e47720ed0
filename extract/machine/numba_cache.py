"""Functions compiled by numba, whose machine code is kept between runs.

The code is kept in a folder of the cache, in a private temporary one where the cache cannot be
written, and nowhere, at some seconds a process, where nothing can.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from weights.files import cache_folder

Function = TypeVar("Function", bound=Callable[..., Any])

_SETTING = "CACHE_DIR"  # made by numba at run time, so that a type checker does not know it


def code_folder() -> str | None:
    """A folder for compiled code that only this user can write, since code is loaded from it.

    None where nothing at all can be written.
    """
    wanted = cache_folder() / "numba"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return str(wanted)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        user = os.getuid() if hasattr(os, "getuid") else "user"
        fallback = Path(tempfile.gettempdir()) / f"basnet-numba-{user}"
        with contextlib.suppress(FileExistsError):
            fallback.mkdir(mode=0o700)
        about = fallback.lstat()
        own = stat.S_ISDIR(about.st_mode) and (user == "user" or about.st_uid == user)
        if own and not about.st_mode & 0o022:
            return str(fallback)
        return tempfile.mkdtemp(prefix="basnet-numba-")
    return None


KEPT_IN = code_folder()


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function to machine code that runs without Python's lock.

    Args:
        **options: of numba's ``njit``.
    """

    def decorate(function: Function) -> Function:
        # Numba looks at its setting when a function is decorated, and other packages use it too.
        before = getattr(numba.config, _SETTING)
        setattr(numba.config, _SETTING, KEPT_IN or before)
        try:
            done: Function = numba.njit(nogil=True, cache=KEPT_IN is not None, **options)(function)
        finally:
            setattr(numba.config, _SETTING, before)
        return done

    return decorate
