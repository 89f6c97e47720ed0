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
from av.video.frame import VideoFrame
from numpy.typing import NDArray

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
# Containers with an index, by FFmpeg's names; decord cannot rewind others and begins elsewhere.
INDEXED_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "gif", "flv", "asf"}
# Containers whose timestamps say nothing of the order of presentation: they number the packets.
BLIND_FORMATS = {"avi"}
# Containers whose clock counts up to a limit (33 bits) and then from zero on. Times below zero are
# FFmpeg's there, of a file that begins shortly before the limit; a player shows those frames.
CIRCULAR_FORMATS = {"mpegts", "mpeg"}
# A cut-off file is only refused where it is shorter than its header says by more than this.
HEADER_SLACK = Fraction(1, 10)
# Pictures are compared on every SAMPLING-th row of luma; they are different where that changes by
# more than LEAST_CHANGE grey levels on average.
SAMPLING = 7
LEAST_CHANGE = 0.05


@dataclass(frozen=True)
class Anchor:
    """Two neighbouring frames near the end of a video that look different.

    A decoder that numbers frames itself and shows the first of them under its number has lost none
    before it; one that lost some shows the second, or a later one, which looks alike.
    """

    index: int
    frame: VideoFrame
    following: VideoFrame


@dataclass(frozen=True)
class Timestamps:
    """What the timestamps of a file say.

    Attributes:
        timeline: the shown frames.
        pairing: how decoded frames are matched to it.
        oddity: why a decoder that numbers frames by packets would go wrong, or None.
        anchor: where such a decoder can be checked; None where every frame was decoded and counted.
        partial: why the video ends early, where it does and the caller accepts that.
    """

    timeline: FrameClock
    pairing: Pairing
    oddity: str | None
    anchor: Anchor | None = None
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
    tail = _decoded_tail(path, packets) if _plain(header, packets) and not keep_partial else None
    stamps, by_order, broken = packets.shown, False, False
    if tail is None:
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
    oddity = "the video is damaged" if partial else "its clock breaks off" if broken else None
    oddity = oddity or _oddity(header, packets, timeline, pairing)
    return Timestamps(timeline, pairing, oddity, tail.anchor(timeline) if tail else None, partial)


def _oddity(header: Header, packets: Packets, timeline: FrameClock, pairing: Pairing) -> str | None:
    """Why frames cannot be numbered by packets, in a few words, or None."""
    if header.format not in INDEXED_FORMATS:
        return f"a file of kind {header.format} has no index"
    if packets.hidden:
        return f"{packets.hidden} of its frames are not to be shown"
    if pairing.by_order:
        return "its timestamps contradict the order of its frames"
    if len(packets.shown.ticks) != len(timeline.ticks):
        return f"{len(packets.shown.ticks)} packets hold {len(timeline.ticks)} shown frames"
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


class _Tail:
    """The frames from the last key frame on: their timestamps and the last change of picture."""

    def __init__(self) -> None:
        self.stamps = Stamps()
        self._change: tuple[int, VideoFrame, VideoFrame] | None = None
        self._last: tuple[int, VideoFrame, NDArray[np.int16]] | None = None

    def add(self, tick: int | None, frame: VideoFrame) -> None:
        self.stamps.add(tick, frame.duration)
        sample = _luma_sample(frame)
        if self._last and self._last[2].shape == sample.shape:
            before, earlier, values = self._last
            if np.abs(values - sample).mean() > LEAST_CHANGE:
                self._change = before, earlier, frame
        if tick is not None:
            self._last = tick, frame, sample

    @property
    def changes(self) -> bool:
        return self._change is not None

    def anchor(self, timeline: FrameClock) -> Anchor:
        assert self._change is not None
        tick, frame, following = self._change
        return Anchor(int(np.searchsorted(timeline.ticks, tick)), frame, following)


def _luma_sample(frame: VideoFrame) -> NDArray[np.int16]:
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), np.uint8)[: plane.height * plane.line_size]
    # Rows are padded in memory with whatever was there before.
    return rows.reshape(plane.height, plane.line_size)[::SAMPLING, : plane.width].astype(np.int16)


def _decoded_tail(path: str, packets: Packets) -> _Tail | None:
    """Decode both ends; None unless the first and the last timestamp belong to decodable frames.

    The end reaches back to a change of picture: to the last key frame, the second last, the fourth
    last and so on. A video without any up to its first key frame is better decoded as a whole.
    """
    ticks, back = packets.shown.known, 1
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            first = next((tick for tick, _ in decoded_frames(container, stream)), None)
        while first == min(ticks) and back < len(packets.keys):
            tail = _Tail()
            with open_container(path) as container:
                stream = video_stream(container, path)
                container.seek(packets.keys[-back], stream=stream)
                for tick, frame in decoded_frames(container, stream):
                    tail.add(tick, frame)
            if tail.stamps.known[-1:] != [max(ticks)] or not tail.stamps.ascending:
                return None
            if tail.changes:
                return tail
            back *= 2
    except (DamageError, av.error.FFmpegError):
        return None
    return None


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
            "%s: no timestamps in the file, its %s frames per second are taken to be even",
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
    start = header.start if circular else max(header.start, Fraction(0))
    first = int(ticks[0]) * time_base
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
