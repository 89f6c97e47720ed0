"""Files that stand elsewhere: named by a URL, read and written whole through fsspec.

A connection that fails is tried again a few times with growing pauses. What remains of any trouble
is an ``OSError`` whose words a user can do something with.
"""

import errno
import glob
import importlib.util
import logging
import posixpath
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from extract.errors import ExtractError

log = logging.getLogger(__name__)

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
USER = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s'\"]*@")
QUERY = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^?\s'\"]*\?)(?!\*{3})[^\s'\"]+")
ATTEMPTS = 4
PAUSE = 0.5  # seconds before the second attempt; doubled before each further one
WEB = ("http", "https")
OF_ONE_PROCESS = ("memory",)
# Here an object is there at once or not at all, and folders need not be made.
STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "oci", "oss", "hf", "memory"})
# What pip calls the package that fsspec needs for a scheme.
PACKAGES = {
    **dict.fromkeys(WEB, "aiohttp"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "adl"), "adlfs"),
    "hf": "huggingface_hub",
}
GONE = (404, 410)
CLIENT_ERRORS = range(400, 500)
TOO_OFTEN = (408, 429)  # of those the ones that a second attempt may not meet again

Result = TypeVar("Result")


class TransferError(OSError):
    """A file elsewhere cannot be read or written; prints as one line that names it."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


@dataclass(frozen=True, order=True)
class Url:
    """Name of a file or folder elsewhere; a path has these properties too.

    As a string it shows neither user, password nor query, which may hold a token.

    Attributes:
        text: as it was given.
    """

    text: str

    def __str__(self) -> str:
        address, mark, _ = self.text.partition("?")
        return USER.sub(r"\1***@", address) + mark + "***" * bool(mark)

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    @property
    def scheme(self) -> str:
        """``s3`` of ``s3://bucket/name``."""
        return self.text.partition("://")[0].lower()

    @property
    def name(self) -> str:
        """Last part of the path."""
        path = self._without_query
        if self.scheme in WEB:
            return posixpath.basename(unquote(urlsplit(path).path))
        return posixpath.basename(path.rstrip("/"))

    @property
    def _without_query(self) -> str:
        return self.text.partition("?")[0]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The name's suffix with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> "Url":
        """The folder that it stands in."""
        return Url(self._without_query.rstrip("/").rpartition("/")[0])

    def __truediv__(self, name: str) -> "Url":
        return Url(f"{self.text.rstrip('/')}/{name}")


def masked(text: str) -> str:
    """The words of a library with user, password and query of each URL in them hidden.

    >>> masked("404 of http://me:secret@host/v.mp4?token=T")
    '404 of http://***@host/v.mp4?***'
    """
    return QUERY.sub(r"\1***", USER.sub(r"\1***@", text))


def is_url(text: str) -> bool:
    """Whether a text names a file elsewhere; ``file://`` does not."""
    found = SCHEME.match(text)
    return bool(found) and found[1].lower() != "file"  # type: ignore[index]  # bool() hides it


def file_system(url: Url) -> tuple[Any, str]:
    """The file system of a URL, and the URL's name there.

    Raises:
        ExtractError: fsspec knows no such scheme, or the package for it is not installed.
    """
    import fsspec
    from fsspec.core import url_to_fs

    package = PACKAGES.get(url.scheme)
    if package and importlib.util.find_spec(package) is None:
        raise ExtractError(
            f"{url}: {url.scheme}:// needs a package that is not installed: pip install {package}"
        )
    if url.scheme not in fsspec.available_protocols():
        raise ExtractError(f"{url}: {url.scheme}:// is no kind of URL that fsspec knows")
    try:
        system, path = url_to_fs(url.text)
    except ImportError as error:
        raise ExtractError(f"{url}: {_words(error)}") from error
    except Exception as error:  # whatever a file system makes of its credentials
        raise TransferError(errno.EIO, _words(error), str(url)) from error
    return system, path


def patiently(url: Url, work: Callable[[], Result]) -> Result:
    """Do some work on a URL, more than once where the connection fails.

    Raises:
        FileNotFoundError: there is no such object.
        TransferError: it is refused, or the connection fails again and again.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except TransferError:
            raise
        except Exception as caught:  # each file system has errors of its own
            error = _origin(url, caught)
            if isinstance(error, FileNotFoundError) or getattr(error, "status", 0) in GONE:
                text = "no such file or folder"
                raise FileNotFoundError(errno.ENOENT, text, str(url)) from error
            if _final(error):
                raise TransferError(errno.EIO, _words(error), str(url)) from error
            if attempt == ATTEMPTS:
                text = f"the connection failed {ATTEMPTS} times ({_words(error)})"
                raise TransferError(errno.EIO, text, str(url)) from error
            log.debug("%s: %s; again", url, _words(error))
            time.sleep(PAUSE * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _origin(url: Url, error: BaseException) -> BaseException:
    """Over the web fsspec calls missing whatever it could not ask for; the cause is what counts."""
    while (
        url.scheme in WEB and isinstance(error, FileNotFoundError) and error.__cause__ is not None
    ):
        error = error.__cause__
    return error


def _final(error: BaseException) -> bool:
    """Whether trying again is no use."""
    # A file system says by NotImplementedError and ValueError that it cannot do what is asked.
    if isinstance(error, PermissionError | NotImplementedError | IsADirectoryError | ValueError):
        return True
    status = getattr(error, "status", None)
    return "Credentials" in type(error).__name__ or (
        status in CLIENT_ERRORS and status not in TOO_OFTEN
    )


def _words(error: BaseException) -> str:
    text = masked(" ".join(str(getattr(error, "strerror", None) or error).split()))
    text = text or type(error).__name__
    return text if len(text) < 160 else text[:157] + "..."


@dataclass(frozen=True)
class About:
    """What a file system says of an object.

    Attributes:
        is_folder: whether it is one.
        size: bytes, None where it does not say.
        ranged: whether a part of it can be read.
        version: changes with the content, as far as the file system tells.
    """

    is_folder: bool
    size: int | None
    ranged: bool
    version: tuple[str, ...]


def about(url: Url) -> About:
    """Ask for an object's facts, not from memory.

    Raises:
        FileNotFoundError: there is none.
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(url)

    def ask() -> dict[str, Any]:
        system.invalidate_cache()
        return dict(system.info(path))

    found = patiently(url, ask)
    told = ("size", "ETag", "etag", "mtime", "LastModified", "updated", "created", "blob_id")
    version = tuple(f"{key}={found[key]}" for key in told if found.get(key) is not None)
    size = found.get("size")
    ranged = size is not None and bool(found.get("partial", url.scheme not in WEB))
    return About(found.get("type") == "directory", size, ranged, version)


def exists(url: Url) -> bool:
    """Whether there is such an object or folder."""
    try:
        about(url)
    except FileNotFoundError:
        return False
    return True


def is_folder(url: Url) -> bool:
    """Whether a URL names a folder; over the web there are only files.

    Raises:
        FileNotFoundError: there is nothing of that name.
        TransferError: the connection fails or is refused.
    """
    return about(url).is_folder and url.scheme not in WEB


def files_below(folder: Url) -> list[str]:
    """Names of all files of a folder in depth, relative to it, in order.

    Raises:
        FileNotFoundError: there is no such folder.
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(folder)
    return _names(folder, path, lambda: system.find(path), system)


def matching(folder: Url, pattern: str) -> list[str]:
    """Names of the files directly in a folder that match a pattern, in order.

    Raises:
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(folder)
    wanted = f"{glob.escape(path.rstrip('/'))}/{pattern}"
    try:
        return _names(folder, path, lambda: system.glob(wanted), system)
    except FileNotFoundError:
        return []


def _names(folder: Url, path: str, ask: Callable[[], list[str]], system: Any) -> list[str]:
    """What a file system answers, relative to the folder."""

    def fresh() -> list[str]:
        system.invalidate_cache()
        return ask()

    # File systems give names of their own, with or without a leading slash.
    own = path.strip("/")
    found = (name.strip("/").removeprefix(own).strip("/") for name in patiently(folder, fresh))
    return sorted(name for name in found if name)


def read(url: Url, start: int | None = None, stop: int | None = None) -> bytes:
    """The bytes of an object, or those from ``start`` up to ``stop``.

    Raises:
        FileNotFoundError: there is none.
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(url)
    return bytes(patiently(url, lambda: system.cat_file(path, start=start, end=stop)))


def write(url: Url, data: bytes) -> None:
    """Put an object in one piece: who reads it sees the one before or this one.

    Raises:
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(url)

    def put() -> None:
        if url.scheme in STORES:
            system.pipe_file(path, data)
            return
        folder, _, name = path.rpartition("/")
        part = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
        system.makedirs(folder, exist_ok=True)
        system.pipe_file(part, data)
        system.mv(part, path)

    patiently(url, put)


def remove(url: Url) -> None:
    """Remove an object if it is there.

    Raises:
        TransferError: the connection fails or is refused.
    """
    system, path = file_system(url)
    try:
        patiently(url, lambda: system.rm_file(path))
    except FileNotFoundError:
        return
