"""Files of this machine and of URLs behind the same few functions; each is written whole."""

import contextlib
import os
from pathlib import Path

from extract.errors import ExtractError
from extract.sources import urls
from extract.sources.urls import TransferError, Url
from weights.files import atomic_write

Version = tuple[object, ...]
"""Tells two files of one name apart."""


def path_or_url(name: str | os.PathLike[str] | Url) -> Path | Url:
    """What a name that a user gave means."""
    if isinstance(name, Url):
        return name
    text = os.fspath(name)
    return Url(text) if urls.is_url(text) else Path(text.removeprefix("file://"))


def is_folder(place: Path | Url) -> bool:
    """Whether an input is a folder; False for a file.

    Raises:
        ExtractError: there is nothing of that name, or a URL cannot be asked.
    """
    try:
        if isinstance(place, Url):
            return urls.is_folder(place)
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
    """Relative paths of the files of a folder in depth, hidden ones left out.

    Folders come after the files beside them. Links to folders are not followed, since they may lead
    in a circle. A folder that is not there has none.

    Raises:
        OSError: the connection fails or is refused.
    """
    if isinstance(folder, Url):
        with contextlib.suppress(FileNotFoundError):
            return [name for name in urls.files_below(folder) if not is_hidden(name)]
        return []
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        below = Path(root).relative_to(folder)
        found += [(below / name).as_posix() for name in sorted(names) if not is_hidden(name)]
    return found


def names_in(folder: Path | Url, pattern: str) -> list[str]:
    """Names of the files directly in a folder that match a pattern, in order.

    Raises:
        OSError: the connection fails or is refused.
    """
    if isinstance(folder, Url):
        return urls.matching(folder, pattern)
    return sorted(path.name for path in folder.glob(pattern) if path.is_file())


def version(place: Path | Url) -> Version | None:
    """The version of a file, None where there is none.

    Raises:
        OSError: the connection fails or is refused.
    """
    with contextlib.suppress(FileNotFoundError):
        if isinstance(place, Url):
            return urls.about(place).version
        about = place.stat()
        return about.st_ino, about.st_size, about.st_mtime_ns
    return None


def read(place: Path | Url, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a file from ``start`` up to ``stop``.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    if isinstance(place, Url):
        return urls.read(place, start, stop)
    with place.open("rb") as file:
        file.seek(start)
        return file.read() if stop is None else file.read(stop - start)


def write(place: Path | Url, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(place, Url):
        urls.write(place, data)
        return
    with atomic_write(place) as file:
        file.write(data)


def remove(place: Path | Url) -> None:
    """Remove a file if it is there.

    Raises:
        OSError: it cannot be removed.
    """
    if isinstance(place, Url):
        urls.remove(place)
    else:
        place.unlink(missing_ok=True)
