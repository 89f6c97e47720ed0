"""Files of this machine and of URLs behind the same few functions; each is written whole."""

import contextlib
import glob
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.sources.urls import WEB, TransferError, Url, file_system, patiently
from weights.files import atomic_write

# Object stores: an object appears whole, and folders need not be created.
STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "oci", "oss", "hf", "memory"})
VERSION = ("size", "ETag", "etag", "mtime", "LastModified", "updated", "created", "blob_id")

Version = tuple[object, ...]
"""Differs between two contents of a file."""


@dataclass(frozen=True)
class About:
    """What a file system states about a URL.

    Attributes:
        is_folder: whether it is a folder.
        size: bytes, None if unknown.
        ranged: whether a part of it can be read.
        version: changes with the content, as far as the file system knows.
    """

    is_folder: bool
    size: int | None
    ranged: bool
    version: tuple[str, ...]


def about(url: Url) -> About:
    """Ask for the facts of a URL, bypassing caches.

    Raises:
        FileNotFoundError: there is nothing.
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(url)
    found = patiently(url, lambda: dict(_fresh(system).info(path)))
    version = tuple(f"{key}={found[key]}" for key in VERSION if found.get(key) is not None)
    size, on_web = found.get("size"), url.scheme in WEB
    ranged = size is not None and bool(found.get("partial", not on_web))
    return About(found.get("type") == "directory" and not on_web, size, ranged, version)


def _fresh(system: Any) -> Any:
    system.invalidate_cache()
    return system


def is_folder(place: Path | Url) -> bool:
    """Whether an input is a folder, not a file; an ``ExtractError`` if it is neither."""
    try:
        if isinstance(place, Url):
            return about(place).is_folder
    except FileNotFoundError as error:
        raise ExtractError(f"{place}: no such file or folder") from error
    except TransferError as error:
        raise ExtractError(str(error)) from error
    if not place.exists():
        raise ExtractError(f"{place}: no such file or folder")
    return place.is_dir()


def is_hidden(name: str) -> bool:
    """Whether a relative path names a hidden file, or one in a hidden folder."""
    return any(part.startswith(".") for part in name.split("/"))


def names_below(folder: Path | Url) -> list[str]:
    """Relative paths of the files of a folder in depth, without hidden ones.

    Folders come after the files beside them. Links to folders are not followed, since they may form
    a circle. A missing folder has no files.

    Raises:
        OSError: the connection fails or is refused.
    """
    if isinstance(folder, Url):
        found = _names(folder, lambda system, path: system.find(path))
        return [name for name in found if not is_hidden(name)]
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        below = Path(root).relative_to(folder)
        found += [(below / name).as_posix() for name in sorted(names) if not is_hidden(name)]
    return found


def names_in(folder: Path | Url, pattern: str) -> list[str]:
    """Names of the files directly in a folder that match a pattern, in order."""
    if isinstance(folder, Path):
        return sorted(path.name for path in folder.glob(pattern) if path.is_file())
    return _names(
        folder, lambda system, path: system.glob(f"{glob.escape(path.rstrip('/'))}/{pattern}")
    )


def _names(folder: Url, ask: Callable[[Any, str], list[str]]) -> list[str]:
    """A file system's answer, relative to the folder; nothing if there is no folder."""
    system, path = file_system(folder)
    # File systems name files with or without a leading slash.
    own = path.strip("/")
    with contextlib.suppress(FileNotFoundError):
        found = patiently(folder, lambda: ask(_fresh(system), path))
        names = (name.strip("/").removeprefix(own).strip("/") for name in found)
        return sorted(filter(None, names))
    return []


def version(place: Path | Url) -> Version | None:
    """The version of a file, None if there is no file."""
    with contextlib.suppress(FileNotFoundError):
        if isinstance(place, Url):
            return about(place).version
        found = place.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def read(place: Path | Url, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a file from ``start`` up to ``stop``; an ``OSError`` if it cannot be read."""
    if isinstance(place, Url):
        system, path = file_system(place)
        return bytes(patiently(place, lambda: system.cat_file(path, start=start, end=stop)))
    with place.open("rb") as file:
        file.seek(start)
        return file.read() if stop is None else file.read(stop - start)


def write(place: Path | Url, data: bytes) -> None:
    """Write a file whole: readers see the old one or this one."""
    if isinstance(place, Path):
        with atomic_write(place) as file:
            file.write(data)
        return
    system, path = file_system(place)

    def put() -> None:
        if place.scheme in STORES:
            system.pipe_file(path, data)
            return
        folder, _, name = path.rpartition("/")
        part = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
        system.makedirs(folder, exist_ok=True)
        system.pipe_file(part, data)
        system.mv(part, path)

    patiently(place, put)


def remove(place: Path | Url) -> None:
    """Remove a file if it exists."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
        return
    system, path = file_system(place)
    with contextlib.suppress(FileNotFoundError):
        patiently(place, lambda: system.rm_file(path))
