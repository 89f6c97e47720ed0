"""Folders that disappear during the work: a share is unmounted, a disk is unplugged.

That is not the fault of a video, and a new folder would silently be on another disk.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from extract.errors import DiskError
from extract.sources.find import VideoInput


def check_there(folder: Path) -> None:
    """Raise a ``DiskError`` if a folder is gone."""
    if not folder.is_dir():
        raise DiskError(errno.ENOENT, "this folder is gone", os.fspath(folder))


def check_filled(folder: Path) -> None:
    """Raise a ``DiskError`` if a folder of videos is gone, or empty like an unmounted disk."""
    check_there(folder)
    with os.scandir(folder) as entries:
        if next(entries, None) is None:
            raise DiskError(errno.ENOENT, "this folder is empty now", os.fspath(folder))


def common_folder(videos: Iterable[VideoInput]) -> Path | None:
    """The deepest folder above all videos; None if there is none, or for a URL."""
    paths = [video.path for video in videos]
    folders = {os.path.abspath(path.parent) for path in paths if isinstance(path, Path)}
    if not all(isinstance(path, Path) for path in paths):
        return None
    try:
        return Path(os.path.commonpath(folders)) if folders else None
    except ValueError:  # drives of one machine have no folder in common
        return None
