"""Errors that a user can fix in videos, features and extraction settings."""

import os


class ExtractError(Exception):
    """An input or a setting of extraction is wrong; the message says which and what to do."""

    exit_code = 2


class VideoError(ExtractError):
    """A video cannot be used; the message names the file and, if known, the time."""

    exit_code = 1


class DiskError(OSError):
    """Results cannot be written: not the fault of a video, and it stops all of them."""

    @classmethod
    def of(
        cls, error: OSError, path: str | os.PathLike[str], what: str | None = None
    ) -> "DiskError":
        """The system's error about a file, with the name of what could not be written there.

        Args:
            error: the system's.
            path: the file, under the name that the user knows.
            what: for example ``the model``.
        """
        text = f"{what} cannot be written ({error.strerror})" if what else error.strerror
        return cls(error.errno, text, os.fspath(path))
