"""Errors of single videos, after which the others continue."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


def failure_message(error: Exception, path: "Path | Url", *, alone: bool = False) -> str:
    """One line about a video that failed, for the list of failures.

    Args:
        error: the exception raised for it.
        path: the video.
        alone: whether it is the only one, so that a user's mistake ends the command.

    Raises:
        Exception: the error itself if it concerns every video: missing weights, a full disk, or a
            mistake about the only video.
    """
    from basnet_e2e.errors import BasnetError
    from extract.errors import DiskError, ExtractError, VideoError
    from extract.sources.find import printable
    from extract.sources.urls import masked
    from weights.errors import WeightsError

    if isinstance(error, WeightsError | DiskError):
        raise error
    known = isinstance(error, BasnetError | ExtractError)
    if known and alone and not isinstance(error, VideoError):
        raise error
    text = printable(masked(" ".join(str(error).split())))
    if isinstance(error, OSError):
        text = error.strerror or text
    elif not known:
        log.debug("%s failed", path, exc_info=error)
        text = f"{type(error).__name__}: {text}"
    return text if printable(path.name) in text else printable(f"{path}: {text}")
