"""Intervals as WebVTT, the subtitles of the HTML video element."""

from html import escape

from basnet_e2e.interchange.formats.srt import clock
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.intervals import Localization


def write(result: Localization, media: Media) -> str:
    """Cues of one video in the order of their time; a label is text, whatever it holds."""
    cues = [
        f"\n{number}\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n"
        f"{escape(one_line(cue.label), quote=False)} {cue.score:.2f}\n"
        for number, cue in enumerate(in_time(result), start=1)
    ]
    return "WEBVTT\n" + "".join(cues)
