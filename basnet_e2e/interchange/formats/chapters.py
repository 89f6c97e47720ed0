"""Intervals as chapter marks: a metadata file of FFmpeg, or set in a copy of the video."""

import itertools
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from basnet_e2e.interchange.clips.remux import copy_streams
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.intervals import Localization
from weights.files import atomic_path

BETWEEN = "no action"
SPECIAL = "\\=;#"


def write(result: Localization, media: Media) -> str:
    """The metadata file of one video: ``ffmpeg -i VIDEO -i FILE -map_metadata 1 -c copy OUT``."""
    marks = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={_escaped(one_line(title))}\n"
        for start, end, title in pieces(result)
    ]
    return ";FFMETADATA1\n" + "".join(marks)


def pieces(result: Localization) -> list[tuple[int, int, str]]:
    """The whole video in consecutive chapters: start and end in ms, and what happens there.

    Players know where a chapter begins and not where it ends, so what lies between actions is a
    chapter too.
    """
    found = in_time(result)
    whole = round(result.duration * 1000)
    marks = [0, whole]
    for one in found:
        marks += [round(one.start * 1000), round(one.end * 1000)]
    borders = sorted(set(marks))
    chapters = []
    for start, end in itertools.pairwise(borders):
        labels = dict.fromkeys(
            one.label
            for one in found
            if round(one.start * 1000) <= start and end <= round(one.end * 1000)
        )
        chapters.append((start, end, " + ".join(labels) or BETWEEN))
    return chapters


def write_video(source: Path, output: Path, result: Localization) -> None:
    """Write a copy of a video, nothing encoded again, with the actions as its chapters.

    Raises:
        BasnetError: the container cannot take the streams.
    """
    marks: list[Any] = [
        {
            "id": number,
            "start": start,
            "end": end,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": one_line(title)},
        }
        for number, (start, end, title) in enumerate(pieces(result), start=1)
    ]
    with (
        av.open(os.path.abspath(source)) as read,
        atomic_path(output) as part,
        av.open(str(part), "w") as written,
    ):
        streams = copy_streams(read, written, output)
        written.set_chapters(marks)
        for packet in read.demux(list(streams)):
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                written.mux(packet)


def _escaped(text: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in text)
    # FFmpeg takes any backslash before a line end, an escaped one too, for a title that continues.
    return f"{escaped} " if text.endswith("\\") else escaped
