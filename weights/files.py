"""Files on disk: atomic writes, the cache folder, hashes."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CHUNK = 1 << 20


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at ``path`` only if the block ends without an error.

    The bytes are written to a temporary file in the same folder, flushed to the disk and renamed:
    a reader never sees half a file, and a failed write leaves nothing behind. Missing folders are
    created.

    Raises:
        OSError: the folder cannot be created or written, or the disk is full; it names ``path``,
            not the temporary file.
    """
    try:
        with _written_beside(Path(path)) as file:
            yield file
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def _written_beside(target: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside ``target`` that replaces it at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """As `atomic_write`, for libraries that write to a name: yields a temporary one.

    Raises:
        OSError: the folder cannot be created or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 by `atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def cache_folder() -> Path:
    """Folder of downloaded and converted weights: ``BASNET_CACHE`` or the user's cache folder."""
    chosen = os.environ.get("BASNET_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("basnet", appauthor=False))


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_id(path: str | os.PathLike[str]) -> str:
    """Git's id of a file's content: SHA-1 over "blob", its size, a zero byte and the bytes.

    Public repositories state it for every file, so it can check a download without a published
    SHA-256.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % os.path.getsize(path))
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
