"""What a user can fix about videos, features and extraction settings."""

import os


class ExtractError(Exception):
    """An input or a setting of extraction is wrong; the message says which and what to do."""

    exit_code = 2


class VideoError(ExtractError):
    """One video cannot be used (others may); the message names the file and, if known, the time."""

    exit_code = 1


class DiskError(OSError):
    """What was computed cannot be kept: not the fault of a video, and it stops all of them."""

    @classmethod
    def of(
        cls, error: OSError, path: str | os.PathLike[str], what: str | None = None
    ) -> "DiskError":
        """What the system said about a file, and what of ours cannot be written there.

        Args:
            error: the system's.
            path: the file that a user knows.
            what: such as ``the model``.
        """
        text = f"{what} cannot be written ({error.strerror})" if what else error.strerror
        return cls(error.errno, text, os.fspath(path))
