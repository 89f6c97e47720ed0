"""Download one file whose hash is known: a cut transfer is resumed, the whole file is checked.

The partial file is named after its expected content and is returned only if its size and hash are
right, so an incomplete file is never used.
"""

import errno
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weights.errors import WeightsError
from weights.files import git_blob_id, sha256_of

if TYPE_CHECKING:
    from requests import Response, Session

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15
READ_SECONDS = 60
PIECE = 1 << 16  # bytes read at a time, the most that a cut connection loses
ATTEMPTS = 4
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class Content:
    """The size and hashes that a file must have.

    Attributes:
        size: bytes, or None if unknown.
        sha256: 64 hexadecimal digits, or their beginning if only that was published; or None.
        git_blob: Git's id of the content (SHA-1), or None.
    """

    size: int | None = None
    sha256: str | None = None
    git_blob: str | None = None

    @property
    def known(self) -> bool:
        """Whether a hash is known, so that a file can be checked."""
        return bool(self.sha256 or self.git_blob)

    @property
    def key(self) -> str:
        """Short name of the content, which names the partial file."""
        return (self.sha256 or self.git_blob or "")[:16]

    def difference(self, path: Path) -> str | None:
        """How the file differs (both values), or None if it is the expected one."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"it has {path.stat().st_size} bytes, expected {self.size}"
        if self.sha256 is not None:
            found = sha256_of(path)
            if not found.startswith(self.sha256):
                return f"its sha256 is {found}, expected {self.sha256}"
        if self.git_blob is not None:
            found = git_blob_id(path)
            if found != self.git_blob:
                return f"its git blob id is {found}, expected {self.git_blob}"
        return None


class BrokenTransfer(Exception):
    """The connection failed or ended early; the received part is kept."""


def fetch(session: "Session", url: str, content: Content, folder: Path, what: str) -> Path:
    """Download into ``folder`` and return the path of the complete, verified file.

    The caller holds a lock on the partial file and deletes the result after use.

    Raises:
        WeightsError: the address does not answer, or sends another file.
        OSError: the disk is full or the folder cannot be written; the partial file is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{content.key}.part"
    reason = ""
    for _ in range(ATTEMPTS):
        resumed = partial.exists() and partial.stat().st_size > 0
        try:
            _transfer(session, url, partial, content.size)
        except BrokenTransfer as error:
            reason = str(error)
            if not partial.exists() or not partial.stat().st_size:
                break  # nothing arrived: retrying at once would not help
            continue
        difference = content.difference(partial)
        if difference is None:
            return partial
        partial.unlink()
        if not resumed:
            raise WeightsError(f"{what} is not the expected file: {difference}")
        log.info("%s: the resumed part does not fit, starting again", what)
    raise WeightsError(
        f"{what} could not be downloaded: {reason or 'the connection was cut repeatedly'}"
    )


def _transfer(session: "Session", url: str, partial: Path, size: int | None) -> None:
    """Download the missing rest of the partial file."""
    import requests

    have = partial.stat().st_size if partial.exists() else 0
    if size is not None and have >= size:
        return
    headers = {"Accept-Encoding": "identity"}  # offsets must be those of the file itself
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with session.get(
            url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
        ) as answer:
            if have and answer.status_code == RANGE_NOT_SATISFIABLE:
                return  # nothing is missing; the check decides
            answer.raise_for_status()
            total = _append(answer, partial, have)
    except requests.RequestException as error:
        raise BrokenTransfer(short_reason(error)) from error
    if total is not None and partial.stat().st_size < total:
        raise BrokenTransfer("the connection ended early")


def _append(answer: "Response", partial: Path, have: int) -> int | None:
    """Append the answer's body to the file; returns the size of the whole file if known."""
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    resumed = answer.status_code == PARTIAL_CONTENT and start == str(have)
    offset = have if resumed else 0
    length = answer.headers.get("Content-Length")
    with open(partial, "r+b" if resumed else "wb") as file:
        file.seek(offset)
        try:
            for chunk in answer.iter_content(PIECE):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            # requests' errors are OSErrors too; only those of the disk have these codes
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(
                    error.errno,
                    "the disk is full; free some space and run the command again to resume",
                    str(partial),
                ) from error
            raise
    return offset + int(length) if length is not None else None


def short_reason(error: Exception) -> str:
    """The innermost reason of a connection error, on one line, without user names or passwords."""
    cause: BaseException = error
    while following := cause.__cause__ or cause.__context__:
        cause = following
    text = without_password(" ".join(str(cause).split())) or type(cause).__name__
    return text if len(text) < 160 else text[:157] + "..."


def without_password(text: str) -> str:
    """A text without the user names and passwords of its addresses."""
    return re.sub(r"//[^/@\s]*@", "//", text)
