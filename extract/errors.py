"""What a user can mend about videos, features and extraction settings."""


class ExtractError(Exception):
    """An input or a setting of extraction is wrong; the message says which and what to do."""

    exit_code = 2


class VideoError(ExtractError):
    """One video cannot be used (others may); the message names the file and, if known, the time."""

    exit_code = 1


class DiskError(OSError):
    """What was computed cannot be kept: no fault of a video, and it stops all of them."""
