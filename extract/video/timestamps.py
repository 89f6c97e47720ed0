"""The timeline of a video file: which of its frames are shown, and when.

The timestamps of the packets are read first, which costs a pass over the file without decoding. The
frames at both ends are then decoded, because packets need not decode (a file cut out of another
one, an index that claims too much). Only where they disagree, or the kind of stream is known for
packets without a picture, is the whole stream decoded once to see what is in it.
"""

import logging
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import av.error
import numpy as np

from extract.errors import VideoError
from extract.video.clock import FrameClock, median_spacing
from extract.video.discontinuities import LONGEST_PAUSE, clock_breaks, closed
from extract.video.packets import Header, Packets, Stamps, read_header, read_packets
from extract.video.pyav_decoder import (
    DamageError,
    Pairing,
    decoded_frames,
    open_container,
    video_stream,
)
from extract.video.truncation import missing_bytes

log = logging.getLogger(__name__)

# Codecs whose every packet holds exactly one shown picture in the containers named below.
ONE_PICTURE_CODECS = {"h264", "hevc", "av1", "libdav1d", "vp9", "mjpeg", "gif", "prores"}
# Containers and codecs in which each packet holds one frame, or a decoder says so.
NUMBERED_KINDS = {("mov,mp4,m4a,3gp,3g2,mj2", "h264"), ("matroska,webm", "h264")}
# Times of an even rate differ by their rounding, in Matroska to milliseconds.
EVEN_SECONDS = 0.002
# Containers whose timestamps say nothing of the order of presentation: they number the packets.
BLIND_FORMATS = {"avi"}
# Containers whose clock counts up to a limit (33 bits) and then from zero on. Times below zero are
# FFmpeg's there, of a file that begins shortly before the limit; a player shows those frames.
CIRCULAR_FORMATS = {"mpegts", "mpeg"}
# A cut-off file is only refused where it is shorter than its header says by more than this.
HEADER_SLACK = Fraction(1, 10)


@dataclass(frozen=True)
class Timestamps:
    """What the timestamps of a file say.

    Attributes:
        timeline: the shown frames.
        pairing: how decoded frames are matched to it.
        oddity: why a decoder that numbers frames by packets might go wrong, or None.
        partial: why the video ends early, where it does and the caller accepts that.
    """

    timeline: FrameClock
    pairing: Pairing
    oddity: str | None
    partial: str | None = None


def read_timestamps(path: str, *, keep_partial: bool = False) -> Timestamps:
    """Read when each shown frame of a video is presented.

    Args:
        path: the video file.
        keep_partial: let a damaged or cut-off video end at its last good frame.

    Raises:
        VideoError: the file is no video, shows no frame, is cut off, or is damaged at a place that
            had to be decoded here.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        header = read_header(container, stream)
        packets = read_packets(container, stream)
    stamps, by_order, broken = packets.shown, False, False
    if keep_partial or not _plain(header, packets) or not _ends_decode(path, packets):
        # Packets stand in the order of decoding; only decoded frames tell of one of presentation.
        decoded = _decode_all(path)
        stamps = _numbered(header, packets, decoded)
        by_order = not decoded.ascending or stamps is not decoded
        stamps, broken = _unbroken(path, header, stamps)
    timeline, pairing = _timeline(path, header, stamps, by_order or broken)
    cut = _cut(path, header, packets, timeline, stamps.damage is not None)
    damage = _damage(stamps, timeline)
    partial = cut or damage
    if partial and not keep_partial:
        raise VideoError(f"{path}: {partial}; --keep-partial keeps what comes before")
    oddity = "the video is damaged" if partial else _oddity(header, packets, timeline, pairing)
    return Timestamps(timeline, pairing, oddity, partial)


def _oddity(header: Header, packets: Packets, timeline: FrameClock, pairing: Pairing) -> str | None:
    """Why a decoder that numbers frames by packets might go wrong, in a few words, or None."""
    if (header.format, header.codec) not in NUMBERED_KINDS:
        return "it is trusted with H.264 in mp4, mov and Matroska alone"
    if packets.hidden or pairing != Pairing() or timeline.origin != timeline.start:
        return "not all its packets are shown, or not in their order or at once"
    if packets.changes or len(packets.shown.ticks) != len(timeline.ticks):
        return "its picture changes, or packets hold none"
    spacing = np.diff(timeline.ticks) * float(header.time_base)
    if len(spacing) and np.ptp(spacing) > EVEN_SECONDS:
        return "its frame rate varies"
    return None


def _plain(header: Header, packets: Packets) -> bool:
    """Whether the packets' timestamps can be those of the frames."""
    ticks = packets.shown.ticks
    return (
        header.codec in ONE_PICTURE_CODECS
        and header.format not in BLIND_FORMATS
        and packets.shown.damage is None
        # With a single key frame the check of the end would decode the whole video anyway.
        and len(packets.keys) > 1
        and None not in ticks
        and len(set(ticks)) == len(ticks)
        and not clock_breaks(sorted(packets.shown.known), header.time_base)
    )


def _ends_decode(path: str, packets: Packets) -> bool:
    """Whether the first and the last timestamp belong to frames that decode."""
    tail = Stamps()
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


def _decode_all(path: str) -> Stamps:
    """Timestamps of all frames that decode, up to the first damage."""
    stamps = Stamps()
    with open_container(path) as container:
        try:
            for tick, frame in decoded_frames(container, video_stream(container, path)):
                stamps.add(tick, frame.duration)
        except DamageError as damage:
            stamps.damage = damage
    return stamps


def _numbered(header: Header, packets: Packets, decoded: Stamps) -> Stamps:
    """The times of decoded frames, in a blind format those of the packets, one after the other.

    FFmpeg guesses times of presentation there that are late by the frames held back for reordering.
    """
    if header.format not in BLIND_FORMATS or len(decoded.ticks) != len(packets.decoding):
        return decoded
    ticks = sorted(packets.decoding)
    return decoded if ticks == decoded.ticks else replace(decoded, ticks=list(ticks))


def _unbroken(path: str, header: Header, stamps: Stamps) -> tuple[Stamps, bool]:
    """The times of frames with breaks of the clock closed, and whether there were any."""
    ticks = stamps.known
    breaks = clock_breaks(ticks, header.time_base) if len(ticks) == len(stamps.ticks) else []
    if not breaks:
        return stamps, False
    ticks = closed(ticks, breaks)
    first = float((ticks[breaks[0]] - ticks[0]) * header.time_base)
    more = f" and at {len(breaks) - 1} more places" if len(breaks) > 1 else ""
    log.warning(
        "%s: its timestamps break off at %.1f s%s; what follows is taken to come right after",
        path,
        first,
        more,
    )
    return replace(stamps, ticks=list(ticks)), True


def _timeline(
    path: str, header: Header, stamps: Stamps, by_order: bool
) -> tuple[FrameClock, Pairing]:
    """The shown frames in order of presentation, and how to find them while decoding."""
    known, time_base = stamps.known, header.time_base
    if not stamps.ticks:
        raise VideoError(f"{path}: no frame of the video stream can be decoded")
    if not known and header.rate:
        log.warning(
            "%s: no timestamps in the file; it plays at an even %s frames per second",
            path,
            header.rate,
        )
        ticks = np.arange(len(stamps.ticks), dtype=np.int64)
        return FrameClock(ticks, 1 / header.rate, Fraction(0), 1 / header.rate), Pairing(True)
    if not known or (by_order and len(known) != len(stamps.ticks)):
        raise VideoError(
            f"{path}: its timestamps are incomplete and out of order; write the file anew first, "
            "e.g. ffmpeg -i IN -c:v libx264 -fps_mode cfr OUT.mp4"
        )
    ticks = np.sort(np.array(known, np.int64))
    circular = header.format in CIRCULAR_FORMATS
    hidden = 0 if circular else int(np.count_nonzero(ticks < 0))
    ticks = ticks[hidden:]
    if not len(ticks):
        raise VideoError(f"{path}: all frames lie before time zero, a player shows none of them")
    first = int(ticks[0]) * time_base
    start = first if header.start is None else header.start
    start = start if circular else max(start, Fraction(0))
    origin = first if first - start > LONGEST_PAUSE else min(start, first)
    length = stamps.durations[stamps.ticks.index(int(ticks[-1]))] * time_base
    stated = length if length <= LONGEST_PAUSE else Fraction(0)
    last = stated or median_spacing(ticks, time_base) or 1 / (header.rate or Fraction(25))
    return FrameClock(ticks, time_base, origin, last), Pairing(by_order, hidden)


def _cut(
    path: str, header: Header, packets: Packets, timeline: FrameClock, damaged: bool
) -> str | None:
    """What is missing of a file that ends before its own structure says, or None.

    Missing bytes alone are no reason to refuse a video: they may be an index at the end.
    """
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


def _damage(stamps: Stamps, timeline: FrameClock) -> str | None:
    if stamps.damage is None:
        return None
    return f"decoding failed at {float(timeline.duration):.1f} s ({stamps.damage.reason})"
