"""The timeline of a video file: which of its frames are shown, and when.

The first pass over the file reads the timestamps of its packets. Packets need not decode (a file
cut out of another one, an index that claims too much), so the frames at both ends are decoded next.
The whole stream is decoded only if the two disagree, or if its kind of packets does not determine
the frames.
"""

import logging
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import av.error
import numpy as np

from extract.errors import VideoError
from extract.video.clock import FrameClock, median_spacing
from extract.video.discontinuities import LONGEST_PAUSE, close_gaps, find_discontinuities
from extract.video.packets import Header, Packets, TickList, read_header, read_packets
from extract.video.pyav_decoder import (
    DamageError,
    decoded_frames,
    open_container,
    video_stream,
)
from extract.video.truncation import missing_bytes

log = logging.getLogger(__name__)

# Codecs in which every packet with a picture holds exactly one frame that is shown.
ONE_PICTURE_CODECS = {"h264", "hevc", "av1", "libdav1d", "vp9", "mjpeg", "gif", "prores"}
# Containers and codecs in which the n-th packet holds the n-th frame: packets without a frame are
# recognized, and decoders complain about damage.
NUMBERED_KINDS = {("mov,mp4,m4a,3gp,3g2,mj2", "h264"), ("matroska,webm", "h264")}
# Frames of a constant rate are unevenly spaced by their rounding, in Matroska to milliseconds.
EVEN_SECONDS = 0.002
# Containers without an order of presentation: their timestamps number the packets.
DECODE_ORDER_FORMATS = {"avi"}
# Containers whose 33-bit clock wraps around to zero. Negative times are FFmpeg's there, for a file
# that begins shortly before the limit; a player shows those frames.
WRAPPING_FORMATS = {"mpegts", "mpeg"}
# Seconds by which a file may be shorter than its header says before it counts as cut off.
HEADER_SLACK = Fraction(1, 10)


@dataclass(frozen=True)
class Timestamps:
    """What the timestamps of a file say.

    Attributes:
        timeline: the shown frames.
        skip: decoded frames before the first shown one, if the i-th frame is the i-th of the
            timeline, because timestamps of frames contradict their order (B-frames in AVI) or are
            missing; None if frames are found by their timestamps.
        irregularity: why a decoder that numbers frames by packets might fail, or None.
        partial: why the video ends early, or None.
    """

    timeline: FrameClock
    skip: int | None
    irregularity: str | None
    partial: str | None = None


def read_timestamps(path: str, *, keep_partial: bool = False) -> Timestamps:
    """Read when each shown frame of a video is presented.

    Args:
        path: the video file.
        keep_partial: let a damaged or truncated video end at its last good frame.

    Raises:
        VideoError: the file is not a video, shows no frame, is truncated, or damage was found.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        header = read_header(container, stream)
        packets = read_packets(container, stream)
    frames, by_order = packets.shown, False
    if keep_partial or not _states_all_frames(header, packets) or not _ends_decode(path, packets):
        # Packets come in the order of decoding; only decoded frames reveal that of presentation.
        decoded = _decode_all(path)
        stated = _stated_times(header, packets, decoded)
        frames = _continuous(path, header, stated)
        by_order = not decoded.ascending or frames is not decoded
    timeline, skip = _timeline(path, header, frames, by_order)
    cut = _cut(path, header, packets, timeline, frames.damage is not None)
    damage = _damage(frames, timeline)
    partial = cut or damage
    if partial and not keep_partial:
        raise VideoError(f"{path}: {partial}; --keep-partial keeps what comes before")
    found = Timestamps(timeline, skip, "the video is damaged", partial)
    return found if partial else replace(found, irregularity=_irregularity(header, packets, found))


def _irregularity(header: Header, packets: Packets, found: Timestamps) -> str | None:
    """Why a decoder that numbers frames by packets might fail, in a few words, or None."""
    timeline = found.timeline
    if (header.format, header.codec) not in NUMBERED_KINDS:
        return "only H.264 in mp4, mov and Matroska is known to be safe"
    if packets.hidden or found.skip is not None or timeline.origin != timeline.start:
        return "the video does not show all packets in order from its start on"
    if packets.changes or len(packets.shown.ticks) != len(timeline.ticks):
        return "its picture changes, or some packets hold none"
    spacing = np.diff(timeline.ticks) * float(header.time_base)
    if len(spacing) and np.ptp(spacing) > EVEN_SECONDS:
        return "its frame rate varies"
    return None


def _states_all_frames(header: Header, packets: Packets) -> bool:
    """Whether the timestamps of the packets can be those of the frames."""
    ticks = packets.shown.ticks
    return (
        header.codec in ONE_PICTURE_CODECS
        and header.format not in DECODE_ORDER_FORMATS
        and packets.shown.damage is None
        # With a single key frame the check of the end would decode the whole video anyway.
        and len(packets.keys) > 1
        and None not in ticks
        and len(set(ticks)) == len(ticks)
        and not find_discontinuities(sorted(packets.shown.known), header.time_base)
    )


def _ends_decode(path: str, packets: Packets) -> bool:
    """Whether the first and the last timestamp belong to frames that decode."""
    tail = TickList()
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            first = next((tick for tick, _ in decoded_frames(container, stream)), None)
            container.seek(packets.keys[-1], stream=stream)
            for tick, frame in decoded_frames(container, stream):
                tail.add(tick, frame.duration)
    except (DamageError, av.error.FFmpegError):
        return False
    ticks = packets.shown.known
    return first == min(ticks) and tail.ascending and tail.known[-1:] == [max(ticks)]


def _decode_all(path: str) -> TickList:
    """Timestamps of all frames up to the first damage."""
    frames = TickList()
    with open_container(path) as container:
        try:
            for tick, frame in decoded_frames(container, video_stream(container, path)):
                frames.add(tick, frame.duration)
        except DamageError as damage:
            frames.damage = damage
    return frames


def _stated_times(header: Header, packets: Packets, decoded: TickList) -> TickList:
    """The times of decoded frames; in AVI those of the packets, in ascending order.

    FFmpeg's guesses for AVI are late by the frames held back for reordering.
    """
    if header.format not in DECODE_ORDER_FORMATS or len(decoded.ticks) != len(packets.decoding):
        return decoded
    ticks = sorted(packets.decoding)
    return decoded if ticks == decoded.ticks else replace(decoded, ticks=list(ticks))


def _continuous(path: str, header: Header, frames: TickList) -> TickList:
    """The times of frames without discontinuities; the same object if there are none."""
    ticks = frames.known
    if len(ticks) < len(frames.ticks):
        return frames
    jumps = find_discontinuities(ticks, header.time_base)
    if not jumps:
        return frames
    ticks = close_gaps(ticks, jumps)
    first = float((ticks[jumps[0]] - ticks[0]) * header.time_base)
    more = f" and at {len(jumps) - 1} more places" if len(jumps) > 1 else ""
    log.warning("%s: its timestamps jump at %.1f s%s; the parts are joined", path, first, more)
    return replace(frames, ticks=list(ticks))


def _timeline(
    path: str, header: Header, frames: TickList, by_order: bool
) -> tuple[FrameClock, int | None]:
    """The shown frames in order of presentation, and ``Timestamps.skip``."""
    known, time_base = frames.known, header.time_base
    if not frames.ticks:
        raise VideoError(f"{path}: no frame of the video stream can be decoded")
    if not known and header.rate:
        log.warning(
            "%s: the file has no timestamps; assuming a constant rate of %s frames per second",
            path,
            header.rate,
        )
        ticks = np.arange(len(frames.ticks), dtype=np.int64)
        return FrameClock(ticks, 1 / header.rate, Fraction(0), 1 / header.rate), 0
    if not known or (by_order and len(known) != len(frames.ticks)):
        raise VideoError(
            f"{path}: its timestamps are incomplete and out of order; encode it again first, "
            "e.g. ffmpeg -i IN -c:v libx264 -fps_mode cfr OUT.mp4"
        )
    ticks = np.sort(np.array(known, np.int64))
    circular = header.format in WRAPPING_FORMATS
    hidden = 0 if circular else int(np.count_nonzero(ticks < 0))
    ticks = ticks[hidden:]
    if not len(ticks):
        raise VideoError(f"{path}: all frames are before time zero, a player shows none of them")
    first = int(ticks[0]) * time_base
    start = first if header.start is None else header.start
    start = start if circular else max(start, Fraction(0))
    origin = first if first - start > LONGEST_PAUSE else min(start, first)
    length = frames.durations[frames.ticks.index(int(ticks[-1]))] * time_base
    stated = length if length <= LONGEST_PAUSE else Fraction(0)
    last = stated or median_spacing(ticks, time_base) or 1 / (header.rate or Fraction(25))
    return FrameClock(ticks, time_base, origin, last), hidden if by_order else None


def _cut(
    path: str, header: Header, packets: Packets, timeline: FrameClock, damaged: bool
) -> str | None:
    """What is missing of a truncated file, or None; missing bytes alone may be just an index."""
    missing = missing_bytes(path)
    count = len(packets.shown.ticks) + packets.hidden
    promised = max(header.seconds, header.frames / (header.rate or Fraction(25)))
    late = promised - timeline.duration > HEADER_SLACK
    if not missing or not (damaged or (count < header.frames if header.frames else late)):
        return None
    of = f" of {float(promised):.1f} s" if late else ""
    return (
        f"the file is cut off, {missing} bytes are missing and it ends at "
        f"{float(timeline.duration):.1f} s{of}"
    )


def _damage(frames: TickList, timeline: FrameClock) -> str | None:
    if frames.damage is None:
        return None
    return f"decoding failed at {float(timeline.duration):.1f} s ({frames.damage.reason})"
