"""URLs and connections to them through fsspec.

A connection that fails is retried a few times with growing pauses; then it is an ``OSError`` with a
message that a user can act on.
"""

import errno
import importlib.util
import logging
import os
import posixpath
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from extract.errors import ExtractError

log = logging.getLogger(__name__)

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
USER = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s'\"]*@")
QUERY = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^?\s'\"]*\?)(?!\*{3})[^\s'\"]+")
ATTEMPTS = 4
PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
WEB = ("http", "https")
OF_ONE_PROCESS = ("memory",)
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
TOO_OFTEN = (408, 429)  # client errors that may pass

T = TypeVar("T")


class TransferError(OSError):
    """A URL cannot be read or written; its text is one line that names it."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


@dataclass(frozen=True, order=True)
class Url:
    """A file or folder on another machine, with some properties of a path.

    As a string it shows neither user, password nor query, which may hold a token; ``text`` does.
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
        """Its folder."""
        return Url(self._without_query.rstrip("/").rpartition("/")[0])

    def __truediv__(self, name: str) -> "Url":
        return Url(f"{self.text.rstrip('/')}/{name}")


def masked(text: str) -> str:
    """A library's message without user, password and query of URLs.

    >>> masked("404 of http://me:secret@host/v.mp4?token=T")
    '404 of http://***@host/v.mp4?***'
    """
    return QUERY.sub(r"\1***", USER.sub(r"\1***@", text))


def path_or_url(name: str | os.PathLike[str] | Url) -> Path | Url:
    """A name that a user gave, as a path (also of ``file://``) or a URL."""
    if isinstance(name, Url):
        return name
    text = os.fspath(name)
    scheme = SCHEME.match(text)
    if scheme and scheme[1].lower() != "file":
        return Url(text)
    return Path(text.removeprefix("file://"))


def file_system(url: Url) -> tuple[Any, str]:
    """The file system of a URL, and the URL's name there.

    Raises:
        ExtractError: fsspec does not know the scheme, or its package is not installed.
    """
    import fsspec
    from fsspec.core import url_to_fs

    package = PACKAGES.get(url.scheme)
    if package and importlib.util.find_spec(package) is None:
        raise ExtractError(
            f"{url}: {url.scheme}:// needs a package that is not installed: pip install {package}"
        )
    if url.scheme not in fsspec.available_protocols():
        raise ExtractError(f"{url}: {url.scheme}:// is not a kind of URL that fsspec knows")
    try:
        system, path = url_to_fs(url.text)
    except ImportError as error:
        raise ExtractError(f"{url}: {_words(error)}") from error
    except Exception as error:  # whatever a file system makes of its credentials
        raise TransferError(errno.EIO, _words(error), str(url)) from error
    return system, path


def patiently(url: Url, work: Callable[[], T]) -> T:
    """Do some work on a URL; retry if the connection fails.

    Raises:
        FileNotFoundError: there is no such object.
        TransferError: it is refused, or the connection fails repeatedly.
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
    """The cause: over the web fsspec reports every failed request as a missing file."""
    while (
        url.scheme in WEB and isinstance(error, FileNotFoundError) and error.__cause__ is not None
    ):
        error = error.__cause__
    return error


def _final(error: BaseException) -> bool:
    """Whether retrying is useless."""
    # File systems raise NotImplementedError or ValueError for what they cannot do.
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
