"""How much video an extraction has to do and how much disk it needs, by the videos' headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from extract.sources.find import VideoInput
from extract.sources.urls import Url

NUMBER_BYTES = 4
TIME_BYTES = 16  # start and end of a row
HEADER_BYTES = 1000


@dataclass(frozen=True)
class Estimate:
    """Seconds of video by the files' headers, videos without them, bytes of the feature files."""

    seconds: float
    unread: int
    bytes: int


def estimate(videos: Sequence[VideoInput], settings: dict[str, Any], dimension: int) -> Estimate:
    """Estimate an extraction with the settings of feature files; ``dimension`` is one stream's."""
    lengths = [header_seconds(video.path) for video in videos]
    known = [length for length in lengths if length is not None]
    rows_per_second = float(Fraction(settings["fps"]) / settings["stride"])
    row = len(settings["streams"]) * dimension * NUMBER_BYTES + TIME_BYTES
    size = round(sum(known) * rows_per_second * row) + HEADER_BYTES * len(videos)
    return Estimate(sum(known), len(lengths) - len(known), size)


def header_seconds(path: Path | Url) -> float | None:
    """Seconds by a file's header; None if it states none, or for a URL."""
    if isinstance(path, Url):
        return None
    import av
    import av.error

    from extract.errors import VideoError
    from extract.video.pyav_decoder import open_container

    try:
        with open_container(str(path)) as container:
            return container.duration / av.time_base if container.duration else None
    except (VideoError, av.error.FFmpegError, OSError):
        return None
