"""How long an extraction should take and how much disk it needs, from headers and earlier runs."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from extract.features.feature_file import UNSTATED
from extract.sources.find import VideoInput
from extract.sources.urls import Url
from weights.files import cache_folder, write_text

NUMBER_BYTES = 4
TIME_BYTES = 16  # start and end of a row
HEADER_BYTES = 1000


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of some videos.

    Attributes:
        seconds_of_video: as the files' headers say.
        unread: videos whose header says nothing.
        bytes: of the feature files.
        seconds: of work, None where no earlier run tells the pace.
    """

    seconds_of_video: float
    unread: int
    bytes: int
    seconds: float | None


def estimate(
    videos: Sequence[VideoInput], settings: dict[str, Any], dimension: int, device: str
) -> Estimate:
    """Expect as much per second of video as the last run with these settings took.

    Args:
        videos: what is to be done.
        settings: those of the features.
        dimension: numbers of a row of one stream.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
    """
    lengths = [header_seconds(video.path) for video in videos]
    known = [length for length in lengths if length is not None]
    total = sum(known)
    rows_per_second = float(Fraction(settings["fps"]) / settings["stride"])
    row = len(settings["streams"]) * dimension * NUMBER_BYTES + TIME_BYTES
    size = round(total * rows_per_second * row) + HEADER_BYTES * len(videos)
    pace = _paces().get(_key(settings, device))
    return Estimate(total, len(lengths) - len(known), size, pace and pace * total)


def header_seconds(path: Path | Url) -> float | None:
    """Seconds that a file's header states; None where it states none or is not at hand."""
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


def record_pace(
    settings: dict[str, Any], device: str, seconds_of_video: float, seconds: float
) -> None:
    """Keep how long a run took, for the next estimate; where nothing can be written, do not."""
    if seconds_of_video <= 0:
        return
    paces = _paces() | {_key(settings, device): seconds / seconds_of_video}
    with contextlib.suppress(OSError):
        write_text(_file(), json.dumps(paces, indent=1, sort_keys=True) + "\n")


def _file() -> Path:
    return cache_folder() / "pace.json"


def _key(settings: dict[str, Any], device: str) -> str:
    flow = (settings["flow"] or {}).get("method", "none")
    parts = (settings["backbone"], ",".join(settings["streams"]), flow, settings["fps"])
    precision = settings.get("precision", UNSTATED["precision"])
    return " ".join([*parts, str(settings["stride"]), device, precision])


def _paces() -> dict[str, float]:
    try:
        found = json.loads(_file().read_text("utf-8"))
        return {str(key): float(value) for key, value in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
