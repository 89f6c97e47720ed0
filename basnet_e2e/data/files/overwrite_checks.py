"""The rule for every file that a command writes: nothing a user owns is overwritten by mistake.

An output that is one of the inputs is refused, whatever its spelling. An existing file is replaced
only by one of its own kind, unless the user insists. All of this is checked before work starts.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.errors import BasnetError
from extract.sources.urls import Url

LocalPath = str | os.PathLike[str]
InputPath = LocalPath | Url
# What commands read from a folder that they are given.
READ_FROM_FOLDERS = frozenset({Kind.FEATURES, Kind.ARRAYS, Kind.VIDEO})


def check_output(
    path: LocalPath, kind: Kind, inputs: Iterable[InputPath | None] = (), *, force: bool = False
) -> None:
    """Refuse to write a file where that would destroy something.

    Args:
        path: the file to write; neither it nor its folders need to exist.
        kind: what will be written.
        inputs: files and folders that the command reads; None and URLs are skipped.
        force: replace a file of another kind too, but never an input.

    Raises:
        BasnetError: the path is an input, a folder or a file of another kind, or its folder cannot
            be written.
    """
    check_outputs([path], kind, inputs, force=force)


def check_outputs(
    paths: Iterable[LocalPath],
    kind: Kind,
    inputs: Iterable[InputPath | None] = (),
    *,
    force: bool = False,
) -> None:
    """As :func:`check_output`, for several files."""
    names = [Path(name) for name in inputs if not isinstance(name, Url | None)]
    read = [path for path in names if path.exists()]
    files = {_identity(path) for path in read if not path.is_dir()}
    folders = {path.resolve() for path in read if path.is_dir()}
    for target in map(Path, paths):
        if target.is_dir():
            raise BasnetError(f"{target}: is a folder; name a file to write {kind} into")
        if _is_input(target, files, folders):
            raise BasnetError(
                f"{target}: is an input of this command and would be overwritten; choose another "
                "output"
            )
        _check_replaced(target, kind, force)
        check_folder(target.parent)


def _is_input(target: Path, files: set[tuple[int, int]], folders: set[Path]) -> bool:
    """Whether a target is a file that was given, or would be read from a folder that was given."""
    if not target.exists():
        return False
    if _identity(target) in files:
        return True
    inside = bool(folders & set(target.resolve().parents))
    return inside and target.is_file() and kind_of(target) in READ_FROM_FOLDERS


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _check_replaced(target: Path, kind: Kind, force: bool) -> None:
    if not target.exists():
        return
    if not target.is_file():
        raise BasnetError(f"{target}: is not a regular file and cannot be replaced by {kind}")
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


def check_folder(folder: Path) -> None:
    """Refuse an output folder that cannot be made or written.

    Raises:
        BasnetError: it, or the nearest existing path above it, is a file or cannot be written.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise BasnetError(f"{folder}: is a file, so nothing can be written into it as a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        flags = os.statvfs(folder).f_flag if hasattr(os, "statvfs") else 0  # not on Windows
        read_only = flags & getattr(os, "ST_RDONLY", 0)
        why = "read-only file system" if read_only else "permission denied"
        raise BasnetError(f"{folder}: this folder cannot be written ({why})")
