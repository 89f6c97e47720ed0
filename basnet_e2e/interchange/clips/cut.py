"""A clip of the video for each interval."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from basnet_e2e.interchange.clips.encode import Writer, encoded_video
from basnet_e2e.interchange.clips.remux import copy_streams
from basnet_e2e.interchange.media import exact_rate
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.interchange.writers import safe_name
from basnet_e2e.intervals import Interval, Localization
from extract.video.isolation.isolated_clip import open_isolated
from extract.video.pyav_decoder import video_stream
from extract.video.timestamps import Timestamps, read_timestamps
from weights.files import atomic_path

log = logging.getLogger(__name__)
# Containers whose packets have reliable timestamps, by FFmpeg's names. Those of the first kind also
# state where playback begins, so that a copy shows nothing before the interval.
EXACT_START = "mov,mp4,m4a,3gp,3g2,mj2"
COPIED = (EXACT_START, "matroska,webm")
LONGEST_NAME = 60
FORBIDDEN = '/\\:*?"<>|'


@dataclass(frozen=True)
class Piece:
    """One clip to write."""

    found: Interval
    path: Path


def cut(result: Localization, source: Path, folder: Path, *, exact: bool = False) -> list[Path]:
    """Write a clip for each interval of a video.

    By default packets are copied and nothing is encoded: in mp4 and mov the clip plays from the
    first frame of the interval, in mkv and webm from the key frame before it, and it may end a few
    frames late. Other containers, and all with ``exact``, are encoded as H.264: the clip contains
    exactly the frames of the interval, evenly spaced at the rate of the video.

    Args:
        result: whose intervals are cut out.
        source: its video.
        folder: clips are ``<folder>/<id>/<number>_<label>_<start>-<end>.<suffix>``.
        exact: encode instead of copying.

    Returns:
        The files written, in temporal order.

    Raises:
        VideoError: the video is damaged.
        BasnetError: the container cannot hold its streams.
    """
    reading = read_timestamps(os.path.abspath(source))
    copied = not exact and _can_be_copied(source, reading)
    if not exact and not copied:
        log.info("%s: encoding the clips, this kind of file cannot be cut by copying", source)
    suffix = source.suffix if copied else ".mp4"
    pieces = [
        Piece(found, folder / safe_name(result.video) / f"{number:03d}_{_name(found)}{suffix}")
        for number, found in enumerate(in_time(result), start=1)
    ]
    origin = reading.timeline.origin
    if copied:
        for piece in pieces:
            _copy(source, piece, origin)
    elif pieces:
        _encode(source, pieces, origin)
    return [piece.path for piece in pieces]


def _name(found: Interval) -> str:
    label = "".join("_" if sign in FORBIDDEN else sign for sign in one_line(found.label))
    label = label.strip(". ")[:LONGEST_NAME] or "action"
    return f"{label}_{found.start:.3f}-{found.end:.3f}"


def _can_be_copied(source: Path, reading: Timestamps) -> bool:

    with av.open(os.path.abspath(source), metadata_errors="replace") as container:
        return container.format.name in COPIED and reading.skip is None


def _copy(source: Path, piece: Piece, origin: Fraction) -> None:
    """Copy the packets from the key frame before the interval to its end."""
    start, end = (Fraction(str(time)) + origin for time in (piece.found.start, piece.found.end))
    with (
        av.open(os.path.abspath(source), metadata_errors="replace") as read,
        atomic_path(piece.path) as part,
        av.open(str(part), "w") as written,
    ):
        leading = video_stream(read, str(source))
        others = [stream for stream in read.streams.video if stream is not leading]
        streams = copy_streams(read, written, piece.path, without=others)
        assert leading.time_base is not None
        read.seek(int(start / leading.time_base), stream=leading)
        for packet in _within(_timed(read.demux(list(streams)), leading), leading, end):
            shift = round(start / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = streams[packet.stream]
            written.mux(packet)


def _timed(packets: Iterable[Any], leading: Any) -> Iterator[Any]:
    """Add missing decoding times; Matroska does not state those of the first reordered frames."""
    early: list[Any] = []
    for packet in packets:
        if packet.stream is leading and packet.pts is not None:
            if packet.dts is None:
                early.append(packet)
                continue
            for left, each in zip(range(len(early), 0, -1), early, strict=True):
                each.dts = packet.dts - left * (each.duration or 1)
            yield from early
            early = []
        yield packet


def _within(packets: Any, leading: Any, end: Fraction) -> list[Any]:
    """Packets, in decoding order, up to the last one of a frame before the end."""
    kept: list[Any] = []
    last, first = 0, None
    for packet in packets:
        if packet.pts is None or packet.dts is None:
            continue
        if packet.stream is not leading:
            if packet.pts * packet.time_base < end:
                kept.append(packet)
            continue
        if packet.dts * packet.time_base >= end:
            break
        first = packet.pts * packet.time_base if first is None else first
        kept.append(packet)
        if packet.pts * packet.time_base < end:
            last = len(kept)
    # Sound from before the first picture would play without a picture.
    return [
        packet
        for index, packet in enumerate(kept)
        if (packet.stream is leading and index < last)
        or (packet.stream is not leading and packet.pts * packet.time_base >= (first or 0))
    ]


def _encode(source: Path, pieces: Sequence[Piece], origin: Fraction) -> None:
    """Decode the video once and pass its pictures to the clips that are open."""
    with open_isolated(source) as clip, ExitStack() as all_clips:
        rate = exact_rate(clip.fps)
        waiting = list(pieces)
        running: list[tuple[Piece, Writer, ExitStack]] = []
        for number, (_, picture) in enumerate(clip.frames(rate)):
            time = number / rate
            while waiting and Fraction(str(waiting[0].found.start)) <= time:
                piece = waiting.pop(0)
                stack = all_clips.enter_context(ExitStack())
                writer = stack.enter_context(
                    encoded_video(piece.path, clip.size, rate, source, time + origin)
                )
                running.append((piece, writer, stack))
            for entry in list(running):
                piece, writer, stack = entry
                # An interval shorter than a frame still gets one.
                if writer.empty or time < Fraction(str(piece.found.end)):
                    writer.add(picture)
                else:
                    running.remove(entry)
                    stack.close()
            if not waiting and not running:
                break
