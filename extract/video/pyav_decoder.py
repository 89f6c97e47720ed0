"""Decoding with PyAV: open a file, choose its video stream, decode it, pair frames with times.

Presentation times always come from PyAV, whichever decoder supplies the pictures.
"""

import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, NamedTuple

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.video.bitstream import picture_test
from extract.video.clock import FrameClock
from extract.video.heartbeat import beat
from extract.video.matroska import picture_crop
from extract.video.rendering import PictureShape, Renderer, turn_of

log = logging.getLogger(__name__)

# Formats that "decode" although the file is not a video.
NOT_VIDEO = {"tty": "a text file", "bin": "not a media file"}
MATROSKA = "matroska,webm"
# The widest pixels of any standard are 32:11; more is an error in the file.
WIDEST_PIXEL = 4


class DamageError(Exception):
    """Data that cannot be decoded: timestamp of the packet, if known, and the decoder's message."""

    def __init__(self, tick: int | None, reason: str) -> None:
        super().__init__(reason)
        self.tick = tick
        self.reason = reason


def reason_of(error: Exception) -> str:
    """The essential part of an FFmpeg error message."""
    text = str(getattr(error, "strerror", None) or error)
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def open_container(path: str) -> InputContainer:
    """Open a media file; a ``VideoError`` if it is of another kind or lacks its index."""
    try:
        # An absolute path, because FFmpeg takes "12:30.mp4" for a protocol; local files only,
        # because a playlist could name remote ones.
        container = av.open(
            os.path.abspath(path),
            metadata_errors="replace",
            options={"protocol_whitelist": "file"},
        )
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path}: cannot be opened as a video ({reason_of(error)}); it is cut off or not a "
            "video file"
        ) from error
    if container.format.name in NOT_VIDEO:
        kind = NOT_VIDEO[container.format.name]
        container.close()
        raise VideoError(f"{path}: this is {kind}, not a video")
    return container


def video_stream(container: InputContainer, path: str) -> VideoStream:
    """The stream that a player would show: FFmpeg's best one, except cover pictures."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None
    ]
    if not streams:
        raise VideoError(f"{path}: the file has no video stream")
    best = container.streams.best("video")
    stream = best if best in streams else max(streams, key=lambda s: (s.width or 0, -s.index))
    assert isinstance(stream, VideoStream)
    # Frame threads swallow errors and lose the frames in flight; slice threads report every error
    # at its own packet.
    stream.thread_type = "SLICE"
    return stream


def decoded_frames(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[int | None, VideoFrame]]:
    """Decode a stream from its current position: (timestamp in ticks, frame) as presented.

    A frame without a timestamp takes its decoding time, or else the end of the previous frame.
    Packets before the first decodable frame may fail, as in a recording that begins between key
    frames.

    Raises:
        DamageError: a later packet does not decode; all frames before it have been yielded.
    """
    started = False
    clock: int | None = None
    for tick, frames, damage in _decoded_packets(container, stream):
        if damage is not None and started:
            # Frames that the decoder still held back for reordering precede the damage.
            frames = [frame for frame in _held_back(stream) if _before(frame, tick)]
        for frame in frames:
            started = True
            beat()
            time = frame.pts if frame.pts is not None else frame.dts
            if time is None and clock is not None and frame.duration:
                time = clock + frame.duration
            clock = time
            yield time, frame
        if damage is not None and started:
            raise DamageError(tick, damage)


def _decoded_packets(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[int | None, list[VideoFrame], str | None]]:
    """Yield for each packet its timestamp, the frames that came out, and the error if any.

    Empty packets are skipped, because a decoder takes them for the end of the stream. A complaint
    about any other packet without a picture is ignored.
    """
    may_hold_picture = picture_test(stream)
    full = (packet for packet in container.demux(stream) if packet.size)
    packets: Iterator[Packet | None] = itertools.chain(full, [None])
    while True:
        tick, packet = None, None
        try:
            packet = next(packets)
            if packet is not None:
                tick = packet.pts if packet.pts is not None else packet.dts
            decoded = stream.codec_context.decode(packet)
        except StopIteration:
            return
        except (av.error.FFmpegError, EOFError) as error:
            if packet is None or may_hold_picture(packet):
                yield tick, [], reason_of(error)
        else:
            yield tick, [frame for frame in decoded if isinstance(frame, VideoFrame)], None


def _held_back(stream: VideoStream) -> list[VideoFrame]:
    try:
        return list(stream.codec_context.decode(None))
    except (av.error.FFmpegError, EOFError):
        return []


def _before(frame: VideoFrame, tick: int | None) -> bool:
    return frame.pts is None or tick is None or frame.pts < tick


class _IndexedFrame(NamedTuple):
    """A decoded frame with its position in the timeline and the aspect ratio of its pixels."""

    position: int
    frame: VideoFrame
    ratio: Fraction


@dataclass
class PyAVPictures:
    """Pictures of a video, decoded by PyAV and matched to its timeline; see ``Timestamps``."""

    path: str
    timeline: FrameClock
    skip: int | None
    shape: PictureShape
    partial: bool = False
    name: ClassVar[str] = "pyav"
    _warned: bool = field(default=False, init=False)

    def pictures(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield pictures ``[H, W, 3] uint8`` of the frames ``wanted``, which ascend.

        A missing frame without an error repeats the previous one, as on a player.

        Raises:
            DamageError: the decoder met damaged data.
        """
        renderer = Renderer(self.shape)
        with open_container(self.path) as container:
            frames = self._indexed(container, video_stream(container, self.path))
            held: _IndexedFrame | None = None
            ahead = next(frames, None)
            for k in wanted:
                # No frame further than needed, so that damage is reported where it occurs.
                while held is None or held.position < k:
                    ahead = ahead or next(frames, None)
                    if ahead is None or (ahead.position > k and held is not None):
                        break
                    held, ahead = ahead, None
                if held is None:
                    raise DamageError(None, "nothing decodes any more")
                if not renderer.fits(held.frame, held.ratio):
                    self._warn_of_change(k)
                yield renderer.picture(held.frame, held.ratio)

    def _warn_of_change(self, k: int) -> None:
        if not self._warned:
            log.warning(
                "%s: its picture changes shape at %.1f s; later pictures are fitted into the first "
                "shape, with black bars",
                self.path,
                float(self.timeline.time(k)),
            )
        self._warned = True

    def _indexed(self, container: InputContainer, stream: VideoStream) -> Iterator[_IndexedFrame]:
        """Yield decoded frames with strictly ascending indices."""
        ticks = self.timeline.ticks
        index, lost, faulty = -1, 0, 0
        ratio = self.shape.ratio
        # A ratio of the codec may change during the video, one of the container does not.
        follow = pixel_ratio(stream.codec_context.sample_aspect_ratio) == ratio
        try:
            for number, (tick, frame) in enumerate(decoded_frames(container, stream)):
                if follow and frame.key_frame:
                    ratio = pixel_ratio(stream.codec_context.sample_aspect_ratio)
                if self.skip is not None:
                    found = number - self.skip
                elif tick is None:
                    continue
                else:
                    found = int(np.searchsorted(ticks, tick, side="right")) - 1
                if found > index:
                    lost += found - index - 1
                    faulty += frame.is_corrupt
                    index = found
                    yield _IndexedFrame(index, frame, ratio)
            if index < len(ticks) - 1 and not self.partial:
                raise DamageError(int(ticks[index + 1]), "the decoder ended early")
        except DamageError:
            if not self.partial:
                raise
        finally:
            if lost or faulty:
                log.warning(
                    "%s: skipped damaged data (%d frames missing, %d faulty); a missing frame "
                    "repeats the previous one",
                    self.path,
                    lost,
                    faulty,
                )


def pixel_ratio(stated: Fraction | None) -> Fraction:
    """Width of a pixel divided by its height; 1 if nothing plausible is stated."""
    return stated if stated and 1 / WIDEST_PIXEL <= stated <= WIDEST_PIXEL else Fraction(1)


def first_picture(path: str) -> tuple[VideoFrame, PictureShape]:
    """The first frame that decodes, and its shape; a ``VideoError`` if there is none."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        for _, frame in decoded_frames(container, stream):
            stored = frame.width, frame.height
            ratio = pixel_ratio(stream.sample_aspect_ratio)
            crop = (0, 0, 0, 0)
            if container.format.name == MATROSKA:
                crop = picture_crop(path, container.streams.video.index(stream))
            return frame, PictureShape(stored, turn_of(frame), ratio, crop)
    raise VideoError(f"{path}: no frame of the video stream can be decoded")


def container_start(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Start of the container's first stream in seconds, exact if possible; None without a clock."""
    if container.start_time is None:
        return None
    rounded = Fraction(container.start_time, av.time_base)
    for other in (stream, *container.streams):
        if other.start_time is None or other.time_base is None:
            continue
        exact: Fraction = other.start_time * other.time_base
        if abs(exact - rounded) <= Fraction(1, av.time_base):
            return exact
    return rounded
