"""Functions compiled by numba, whose machine code is kept between runs.

It will be executed, so it is kept in a folder of the cache that only this user can write, or in a
temporary one. A release of numba or LLVM that breaks a function costs time, not results:
`works` tries an example, and callers have a fallback.
"""

import functools
import hashlib
import importlib.metadata
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from extract.machine.private_folders import private_folder
from weights.files import cache_folder

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])

_SETTING = "CACHE_DIR"  # numba creates it at run time, so type checkers do not know it


@functools.cache
def code_folder() -> Path | None:
    """A folder for compiled code that only this user can write; None if none can be created."""
    wanted = cache_folder() / "numba"
    try:
        found = private_folder(wanted)
    except OSError:
        found = None
    if found != wanted.resolve():
        log.warning(
            "compiled code is not kept between runs (some seconds each): %s is not a folder that "
            "you and nobody else can write",
            wanted,
        )
    return found


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function that releases Python's lock, with options of numba's ``njit``."""
    import numba

    folder = code_folder()

    def decorate(function: Function) -> Function:
        kept = (
            folder / _sources_hash(Path(function.__code__.co_filename).parent) if folder else None
        )
        # Numba reads its setting when it decorates a function, and other packages use it too.
        before = getattr(numba.config, _SETTING)
        setattr(numba.config, _SETTING, str(kept) if kept else before)
        try:
            done: Function = numba.njit(nogil=True, cache=kept is not None, **options)(function)
        finally:
            setattr(numba.config, _SETTING, before)
        return done

    return decorate


@functools.cache
def _sources_hash(folder: Path) -> str:
    """Hash of the code that compiled functions of a folder may contain.

    Numba itself looks at the file of a function only, and not at what is compiled into it.
    """
    files = [*sorted(folder.glob("*.py")), Path(__file__).with_name("llvm_code.py")]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def works(example: Callable[[], bool], what: str, instead: str) -> bool:
    """Whether compiled code computes an example correctly; if not, a warning names the fallback.

    Args:
        example: imports the code, runs it and compares the result with the correct one.
        what: name of its subject.
        instead: name of the fallback.
    """
    try:
        if example():
            return True
        reason = "wrong values"
    except Exception as error:  # a compiler may raise anything
        text = (str(error).strip().splitlines() or [""])[0][:120]
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    release = importlib.metadata.version("numba")
    log.warning("numba %s cannot run %s (%s); using %s", release, what, reason, instead)
    return False
