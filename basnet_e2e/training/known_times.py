"""Known times from any file: CSV, ActivityNet-style JSON, or that of an annotation tool."""

import math
import os
from dataclasses import replace

from basnet_e2e.data.annotations.known_times import KnownTimes, read_known_times
from basnet_e2e.interchange.annotated import AnnotatedVideo
from basnet_e2e.interchange.readers import is_of_a_tool, read_annotations
from basnet_e2e.intervals import Interval


def read_any_times(given: str | os.PathLike[str] | KnownTimes | None) -> KnownTimes | None:
    """Known times from a file in any format, as they are if they were read already.

    Raises:
        BasnetError: as :func:`read_known_times` and :func:`read_annotations`.
    """
    if given is None or isinstance(given, KnownTimes):
        return given
    if not is_of_a_tool(given):
        return read_known_times(given)
    videos = read_annotations([given])
    durations = {video.video: video.duration for video in videos if video.duration is not None}
    rows = {video.video: _rows(video) for video in videos}
    return KnownTimes.of(rows, durations, os.fspath(given))


def _rows(video: AnnotatedVideo) -> list[Interval]:
    """Intervals, points (whose end is NaN) and unknown stretches (without a label)."""
    known = [replace(one, end=math.nan) if one.end == one.start else one for one in video.intervals]
    return known + [Interval("", start, end) for start, end in video.unknown]
