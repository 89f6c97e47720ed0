"""Known times of any file: CSV, ActivityNet-style JSON, or of an annotation tool."""

import os

from basnet_e2e.data.annotations.known_times import KnownTimes, read_known_times
from basnet_e2e.interchange.readers import is_of_a_tool, read_annotations


def known_times(given: str | os.PathLike[str] | KnownTimes | None) -> KnownTimes | None:
    """What was read already, or is read from a file; of a tool's file the intervals.

    Raises:
        BasnetError: as :func:`read_known_times` and :func:`read_annotations`.
    """
    if given is None or isinstance(given, KnownTimes):
        return given
    if not is_of_a_tool(given):
        return read_known_times(given)
    videos = read_annotations([given])
    durations = {video.video: video.duration for video in videos if video.duration is not None}
    rows = {video.video: list(video.intervals) for video in videos}
    return KnownTimes.of(rows, durations, os.fspath(given))
