"""Intervals as the tab-separated table that whisper writes: whole milliseconds and a text."""

from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import csv_cell, in_time, one_line
from basnet_e2e.intervals import Localization


def write(result: Localization, media: Media) -> str:
    """Rows ``start, end, text`` of one video under a header, in the order of their time."""
    rows = [
        f"{round(found.start * 1000)}\t{round(found.end * 1000)}\t{csv_cell(one_line(found.label))}"
        for found in in_time(result)
    ]
    return "\n".join(["start\tend\ttext", *rows]) + "\n"
