"""Media files with something odd about them, for tests: surgery on containers, many streams."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

RATE = Fraction(1, 25)
# Where the duration stands in the MP4 boxes that hold one, counted from the box's name.
DURATIONS = {b"mvhd": 20, b"tkhd": 24, b"mdhd": 20}
NORMAL_SPEED = 0x10000


@dataclass(frozen=True)
class Track:
    """A video stream of a file with several.

    Attributes:
        first: number that its first picture carries.
        size: width and height.
        disposition: what the container says of it.
        frames: how many it has.
        codec: its encoder.
        pix_fmt: its pixel format.
        start: frames by which it begins late.
    """

    first: int = 0
    size: tuple[int, int] = (64, 48)
    disposition: Disposition | None = None
    frames: int = 20
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    start: int = 0


COVER = Track(500, (640, 480), Disposition.attached_pic, 1, "mjpeg", "yuvj420p")


def write_tracks(path, tracks, numbered, *, sound=False, container_format=None):
    """A file of several video streams, with a second of silence if asked for."""
    with av.open(str(path), "w", format=container_format) as file:
        audio = file.add_stream("aac", rate=16000) if sound else None
        streams = []
        for track in tracks:
            stream = file.add_stream(track.codec, rate=25)
            stream.width, stream.height = track.size
            stream.pix_fmt = track.pix_fmt
            if track.disposition:
                stream.disposition = track.disposition
            streams.append(stream)
        if audio:
            for n in range(16):
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), "fltp", "mono"
                )
                silence.sample_rate, silence.pts = 16000, n * 1024
                file.mux(audio.encode(silence))
            file.mux(audio.encode(None))
        for stream, track in zip(streams, tracks, strict=True):
            for n in range(track.frames):
                picture = numbered(track.first + n, track.size)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame = frame.reformat(format=track.pix_fmt)
                frame.pts, frame.time_base = track.start + n, RATE
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return path


def scale_mp4_durations(path: Path, factor: float) -> None:
    """Let the headers of an MP4 state another duration; the table of samples stays true."""
    data = bytearray(path.read_bytes())
    for box, offset in DURATIONS.items():
        place = data.index(box) + offset
        (stated,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, round(stated * factor))
    path.write_bytes(data)


def scale_matroska_duration(path: Path, factor: float) -> None:
    """Let the Info element of a Matroska file state another duration."""
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3
    (stated,) = struct.unpack_from(">d", data, place)
    struct.pack_into(">d", data, place, stated * factor)
    path.write_bytes(data)


def miscount_avi(path: Path, more: int) -> None:
    """Let both headers of an AVI state ``more`` frames than it has."""
    data = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):
        place = data.index(chunk) + offset
        (stated,) = struct.unpack_from("<I", data, place)
        struct.pack_into("<I", data, place, stated + more)
    path.write_bytes(data)


def set_edit_list(path: Path, edits: list[tuple[int, int]]) -> None:
    """Replace the one edit of an MP4 whose index stands at the end.

    Args:
        path: the file, of 25 frames per second and one stream.
        edits: of each its duration in milliseconds and the frame it begins with, or -1 for nothing.
    """
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        frame = round(RATE / file.streams.video[0].time_base)
    name = data.index(b"elst")
    (size,) = struct.unpack_from(">I", data, name - 4)
    (origin,) = struct.unpack_from(">i", data, name + 16)
    rows = [
        struct.pack(">IiI", length, origin + first * frame if first >= 0 else -1, NORMAL_SPEED)
        for length, first in edits
    ]
    body = b"elst" + bytes(4) + struct.pack(">I", len(rows)) + b"".join(rows)
    data[name - 4 : name - 4 + size] = struct.pack(">I", len(body) + 4) + body
    for box in (b"edts", b"trak", b"moov"):
        place = data.index(box) - 4
        (length,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, length + len(body) + 4 - size)
    path.write_bytes(data)


def join(path: Path, *parts: Path) -> Path:
    """One file after the other, as ``cat`` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
