"""A short id of what a file holds, without reading all of it."""

import errno
import hashlib
import os

from extract.sources.urls import TransferError, Url, about, read

FINGERPRINT_CHUNK = 1 << 20


def fingerprint(path: str | os.PathLike[str] | Url) -> str:
    """Short id of a file's content: SHA-256 over its size, first, middle and last megabyte.

    Reading a whole folder of long videos only to see that nothing changed would take minutes.

    Raises:
        OSError: the file cannot be read, or stands where no parts of it can be.
    """
    if isinstance(path, Url):
        return _fingerprint_of_object(path)
    size = os.path.getsize(path)
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for offset in _offsets(size):
            file.seek(offset)
            digest.update(file.read(FINGERPRINT_CHUNK))
    return _short(digest)


def _fingerprint_of_object(url: Url) -> str:
    found = about(url)
    if found.size is None or not found.ranged:
        raise TransferError(errno.ENOTSUP, "no part of it can be read alone", str(url))
    digest = hashlib.sha256(str(found.size).encode())
    for offset in _offsets(found.size):
        stop = min(offset + FINGERPRINT_CHUNK, found.size)
        digest.update(read(url, offset, stop) if stop > offset else b"")
    return _short(digest)


def _offsets(size: int) -> tuple[int, int, int]:
    return 0, size // 2, max(size - FINGERPRINT_CHUNK, 0)


def _short(digest: "hashlib._Hash") -> str:
    return digest.hexdigest()[:32]
