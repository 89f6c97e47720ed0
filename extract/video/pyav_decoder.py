"""Decoding with PyAV: open a file, choose its video stream, turn frames into upright RGB pictures.

PyAV is the reference here: presentation times always come from it, whichever decoder supplies the
pictures.
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.video.clock import FrameClock
from extract.video.heartbeat import beat

log = logging.getLogger(__name__)

# Formats that "decode" pictures or text although the file is no video.
NOT_VIDEO = {"tty": "a text file", "bin": "not a media file"}
# Deep colour is first brought to 8 bits with the same chroma layout: swscale's direct path from 10
# bits to RGB smears sharp chroma edges (mean error 4 levels against 0.7 on a test picture).
DEEP_FORMAT = re.compile(r"(?:yuva?|yuvj)(4\d\d)p(?:9|10|12|14|16)(?:le|be)")
HALF_PLANE_FORMAT = re.compile(r"p([024])1[0-6](?:le|be)")


class DamageError(Exception):
    """The decoder met data it cannot decode.

    Attributes:
        tick: presentation timestamp of the damaged packet, where it has one.
        reason: what the decoder said.
    """

    def __init__(self, tick: int | None, reason: str) -> None:
        super().__init__(reason)
        self.tick = tick
        self.reason = reason


@dataclass(frozen=True)
class Pairing:
    """How decoded frames are matched to the timeline.

    Attributes:
        by_order: the i-th decoded frame is the i-th of the timeline; used where the timestamps of
            the frames contradict their order (B-frames in AVI) or are absent. Otherwise a frame is
            found by its own timestamp.
        skip: with ``by_order``, decoded frames before the first one that is shown.
    """

    by_order: bool = False
    skip: int = 0


def reason_of(error: Exception) -> str:
    """The part of an FFmpeg error that says what is wrong."""
    text = str(getattr(error, "strerror", None) or error)
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def open_container(path: str) -> InputContainer:
    """Open a media file.

    Raises:
        VideoError: the file is not a media file or its index is missing.
    """
    try:
        # An absolute path, for FFmpeg takes "12:30.mp4" for a protocol; local files only, for a
        # playlist could name remote ones.
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
    """The stream a player would show: FFmpeg's best one, cover pictures left aside.

    Raises:
        VideoError: the file has no video stream.
    """
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
    # Frame threads swallow errors and lose the frames in flight; slice threads report each error at
    # its own packet.
    stream.thread_type = "SLICE"
    return stream


def decoded_frames(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[int | None, VideoFrame]]:
    """Decode a stream from where it stands: (timestamp in ticks, frame) in order of presentation.

    A frame without a timestamp takes its decoding one, else the end of the frame before it. Packets
    before the first decodable frame may fail, as in a recording that begins between key frames.

    Raises:
        DamageError: a packet after that does not decode; the frames before it were given out.
    """
    started = False
    clock: int | None = None
    for tick, frames, damage in _decoded_packets(container, stream):
        if damage is not None and started:
            # What the decoder still held back for reordering came before the damage.
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
    """For each packet its timestamp, the frames that came out, and the error if there was one."""
    packets = container.demux(stream)
    while True:
        tick = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            tick = packet.pts if packet.pts is not None else packet.dts
            frames = [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
        except (av.error.FFmpegError, EOFError) as error:
            yield tick, [], reason_of(error)
        else:
            yield tick, frames, None


def _held_back(stream: VideoStream) -> list[VideoFrame]:
    try:
        return list(stream.codec_context.decode(None))
    except (av.error.FFmpegError, EOFError):
        return []


def _before(frame: VideoFrame, tick: int | None) -> bool:
    return frame.pts is None or tick is None or frame.pts < tick


@dataclass(frozen=True)
class Turn:
    """How the display matrix of a stream turns its pictures: transpose, then mirror the axes."""

    transpose: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether no rotation gives the same picture."""
        return self.transpose ^ self.mirror_rows ^ self.mirror_columns

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn ``[H, W, 3]`` upright; contiguous."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        picture = picture[:: -1 if self.mirror_rows else 1, :: -1 if self.mirror_columns else 1]
        return np.ascontiguousarray(picture)


def turn_of(frame: VideoFrame) -> Turn:
    """Read the display matrix of a frame; turns between quarters take the nearest quarter.

    The matrix maps a stored position (x, y) to the shown one (a x + c y, b x + d y).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, Buffer):
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(mirror_rows=d < 0, mirror_columns=a < 0)
    return Turn(transpose=True, mirror_rows=b < 0, mirror_columns=c < 0)


def eight_bit_format(name: str) -> str | None:
    """The 8-bit pixel format with the chroma layout of a deep planar YUV format, else None."""
    if match := DEEP_FORMAT.fullmatch(name):
        return f"yuv{match[1]}p"
    if match := HALF_PLANE_FORMAT.fullmatch(name):
        return {"0": "yuv420p", "2": "yuv422p", "4": "yuv444p"}[match[1]]
    return None


@dataclass(frozen=True)
class PictureShape:
    """Form of a stream's pictures: stored width and height in pixels, and how they are turned."""

    width: int
    height: int
    turn: Turn

    @classmethod
    def of(cls, frame: VideoFrame) -> "PictureShape":
        """The form that a stream has in its first frame."""
        return cls(frame.width, frame.height, turn_of(frame))


class Renderer:
    """Turns the frames of a stream into upright RGB pictures; for one thread.

    Colour matrix and range are the stream's (BT.601 limited where it does not say, as FFmpeg has
    it). A stream that changes its size on the way is scaled to the size of its first frame. The
    display matrix is not read again for each frame: asking a frame for it keeps the frame in memory
    until Python's cycle collector comes by.
    """

    def __init__(self, shape: PictureShape) -> None:
        self._shape = shape
        # Kept from frame to frame; setting one up costs as much as a small picture.
        self._scaler = VideoReformatter()
        self._shallow = VideoReformatter()

    def picture(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """``[H, W, 3] uint8`` of a decoded frame."""
        shallow = eight_bit_format(frame.format.name)
        if shallow is not None:
            frame = self._shallow.reformat(frame, format=shallow)
        shape = self._shape
        frame = self._scaler.reformat(frame, shape.width, shape.height, "rgb24")
        return shape.turn.apply(np.asarray(frame.to_ndarray(), np.uint8))


class PyAVPictures:
    """Pictures of a video by PyAV, matched to its timeline."""

    name = "pyav"

    def __init__(
        self,
        path: str,
        timeline: FrameClock,
        pairing: Pairing,
        shape: PictureShape,
        *,
        partial: bool = False,
    ) -> None:
        self._path = path
        self._timeline = timeline
        self._pairing = pairing
        self._shape = shape
        self._partial = partial

    def pictures(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Pictures ``[H, W, 3] uint8`` of the frames ``wanted`` (ascending), one after the other.

        A frame that silently did not decode is replaced by the one before it, as on a player.

        Raises:
            DamageError: the decoder met damaged data.
        """
        renderer = Renderer(self._shape)
        with open_container(self._path) as container:
            frames = self._placed(container, video_stream(container, self._path))
            held: VideoFrame | None = None
            place, ahead = -1, next(frames, None)
            for k in wanted:
                # Not a frame further than needed, so that damage shows where it is met.
                while place < k:
                    ahead = ahead or next(frames, None)
                    if ahead is None or (ahead[0] > k and held is not None):
                        break
                    (place, held), ahead = ahead, None
                if held is None:
                    raise DamageError(None, "nothing decodes any more")
                yield renderer.picture(held)

    def _placed(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their place in the timeline, strictly ascending."""
        ticks = self._timeline.ticks
        place, lost, faulty = -1, 0, 0
        try:
            for number, (tick, frame) in enumerate(decoded_frames(container, stream)):
                if self._pairing.by_order:
                    found = number - self._pairing.skip
                elif tick is None:
                    continue
                else:
                    found = int(np.searchsorted(ticks, tick, side="right")) - 1
                if found > place:
                    lost += found - place - 1
                    faulty += frame.is_corrupt
                    place = found
                    yield place, frame
            if place < len(ticks) - 1 and not self._partial:
                raise DamageError(int(ticks[place + 1]), "the decoder ended early")
        except DamageError:
            if not self._partial:
                raise
        finally:
            if lost or faulty:
                log.warning(
                    "%s: damaged places were passed over (%d frames missing, %d faulty); the "
                    "frame before a missing one stands in for it",
                    self._path,
                    lost,
                    faulty,
                )


def first_frame(path: str) -> VideoFrame:
    """The first frame that decodes.

    Raises:
        VideoError: nothing decodes.
    """
    with open_container(path) as container:
        for _, frame in decoded_frames(container, video_stream(container, path)):
            return frame
    raise VideoError(f"{path}: no frame of the video stream can be decoded")


def container_start(container: InputContainer, stream: VideoStream) -> Fraction:
    """Seconds on the container's clock at which its first stream starts, exact where possible."""
    if container.start_time is None:
        return Fraction(0)
    rounded = Fraction(container.start_time, av.time_base)
    for other in (stream, *container.streams):
        if other.start_time is None or other.time_base is None:
            continue
        exact: Fraction = other.start_time * other.time_base
        if abs(exact - rounded) <= Fraction(1, av.time_base):
            return exact
    return rounded
