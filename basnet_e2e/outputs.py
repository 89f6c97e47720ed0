"""The rule for every file that a command writes: nothing a user owns is overwritten by mistake.

An output that is one of the inputs is refused, whatever its spelling. An existing file is replaced
only by one of its own kind, unless the user insists. All this is seen before work starts.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from basnet_e2e.errors import BasnetError
from basnet_e2e.kinds import Kind, kind_of

Name = str | os.PathLike[str]
# What commands read out of a folder that they are given.
READ_FROM_FOLDERS = frozenset({Kind.FEATURES, Kind.ARRAYS, Kind.VIDEO})


def check_output(
    path: Name, kind: Kind, inputs: Iterable[Name | None] = (), *, force: bool = False
) -> None:
    """Refuse to write a file where that would destroy something.

    Args:
        path: the file to write; nothing there is fine, its folders are made later.
        kind: what will be written.
        inputs: files and folders that the command reads; None is skipped.
        force: replace a file of another kind too, but never an input.

    Raises:
        BasnetError: the path is an input, a folder or a file of another kind, or its folder cannot
            be written.
    """
    target = Path(path)
    if target.is_dir():
        raise BasnetError(f"{target}: is a folder; name a file to write {kind} into")
    for given in inputs:
        if given is not None and _is_input(target, Path(given)):
            raise BasnetError(
                f"{target}: is an input of this command and would be overwritten; choose another "
                "output"
            )
    _check_replaced(target, kind, force)
    _check_place(target.parent)


def check_folder(folder: Name) -> None:
    """Refuse a folder of outputs that cannot be made or written.

    Raises:
        BasnetError: a file stands in its place, or the folder above cannot be written.
    """
    _check_place(Path(folder))


def _is_input(target: Path, given: Path) -> bool:
    """Whether both are one file, or the folder given holds the target as something to read."""
    if not (target.exists() and given.exists()):
        return False
    if not given.is_dir():
        return os.path.samefile(target, given)
    inside = given.resolve() in target.resolve().parents
    return inside and target.is_file() and kind_of(target) in READ_FROM_FOLDERS


def _check_replaced(target: Path, kind: Kind, force: bool) -> None:
    if not target.exists():
        return
    if not target.is_file():
        raise BasnetError(f"{target}: is no ordinary file and cannot be replaced by {kind}")
    if force:
        return
    try:
        found = kind_of(target)
    except OSError as error:
        raise BasnetError(f"{target}: exists and cannot be read ({error.strerror})") from error
    if found not in (kind, Kind.EMPTY):
        raise BasnetError(
            f"{target}: holds {found}, not {kind}, and is not overwritten; choose another output, "
            "or --force"
        )


def _check_place(folder: Path) -> None:
    """The nearest folder above that exists must be one, and writable."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise BasnetError(f"{folder}: is a file, so nothing can be written into it as a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BasnetError(f"{folder}: this folder cannot be written (permission denied)")
