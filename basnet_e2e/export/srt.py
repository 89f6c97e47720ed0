"""Intervals as SubRip subtitles, which players show over the video."""

from collections.abc import Sequence

from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization, written_intervals


def write(results: Sequence[Localization]) -> str:
    """Cues of one video in the order of their time.

    Raises:
        BasnetError: subtitles belong to one video, and here are none or several.
    """
    if len(results) != 1:
        raise BasnetError(f"subtitles (srt) belong to one video, here are {len(results)}")
    found = written_intervals(results[0].intervals, results[0].duration)
    cues = [
        f"{number}\n{clock(cue.start)} --> {clock(cue.end)}\n{cue.label} {cue.score:.2f}\n"
        for number, cue in enumerate(sorted(found, key=lambda cue: (cue.start, cue.end)), start=1)
    ]
    return "\n".join(cues)


def clock(seconds: float) -> str:
    """Seconds as ``HH:MM:SS,mmm``."""
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"
