"""Videos made for a test: every frame carries its number in pixels that survive encoding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BITS = 12
BLOCK = 16
SIZE = (64, 48)  # four by three blocks of 16 pixels


def numbered_picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Picture ``[H, W, 3] uint8`` whose blocks, row by row, are the bits of ``number``."""
    width, height = size
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        top, left = BLOCK * (bit // 4), BLOCK * (bit % 4)
        picture[top : top + BLOCK, left : left + BLOCK] = 220 if number >> bit & 1 else 30
    return picture


def read_number(picture: np.ndarray) -> int:
    """The number that ``numbered_picture`` wrote."""
    number = 0
    for bit in range(BITS):
        top, left = BLOCK * (bit // 4), BLOCK * (bit % 4)
        block = picture[top + 4 : top + BLOCK - 4, left + 4 : left + BLOCK - 4]
        number |= int(block.mean() > 125) << bit
    return number


@dataclass(frozen=True)
class MadeVideo:
    """A video file and the times, in seconds, at which its frames are presented."""

    path: Path
    times: list[Fraction]


def write_video(
    path: Path,
    ticks: Sequence[int],
    time_base: Fraction,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = SIZE,
    pix_fmt: str = "yuv420p",
    gop: int = 10,
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    turn: tuple[float, bool, bool] | None = None,
    pixel: Fraction | None = None,
    picture: Callable[[int], av.VideoFrame | np.ndarray] | None = None,
    edit: Callable[[int, bytes], bytes | None] | None = None,
) -> MadeVideo:
    """Encode numbered frames with the given timestamps.

    Args:
        path: file to write; its suffix chooses the container.
        ticks: presentation timestamps in units of ``time_base``.
        time_base: seconds per tick.
        codec: encoder.
        size: (width, height).
        pix_fmt: pixel format.
        gop: frames between key frames.
        container: options of the muxer.
        options: options of the encoder.
        container_format: name of the muxer, where the suffix does not say.
        turn: (degrees, mirrored left-right, mirrored upside down) for the display matrix.
        pixel: width of a pixel, its height being 1.
        picture: makes frame n instead of ``numbered_picture``.
        edit: maps the bytes of packet n to others, or to None to leave the packet out.
    """
    draw = picture or (lambda number: numbered_picture(number, size))
    with av.open(str(path), "w", format=container_format, options=container or {}) as file:
        rate = 1 / time_base if time_base > Fraction(1, 1000) else 25
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = time_base
        if pixel is not None:
            stream.codec_context.sample_aspect_ratio = pixel
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        count = 0
        for number, tick in [*enumerate(ticks), (None, None)]:
            frame = None
            if number is not None:
                drawn = draw(number)
                frame = (
                    av.VideoFrame.from_ndarray(drawn, format="rgb24")
                    if isinstance(drawn, np.ndarray)
                    else drawn
                )
                frame.pts, frame.time_base = tick, time_base
            for packet in stream.encode(frame):
                kept = bytes(packet) if edit is None else edit(count, bytes(packet))
                count += 1
                if kept is None:
                    continue
                changed = packet
                if edit is not None:
                    changed = av.Packet(kept)
                    changed.stream = stream
                    changed.pts, changed.dts = packet.pts, packet.dts
                    changed.duration, changed.time_base = packet.duration, packet.time_base
                    changed.is_keyframe = packet.is_keyframe
                file.mux(changed)
    return MadeVideo(path, [tick * time_base for tick in ticks])


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., MadeVideo]:
    """``write_video`` into the test's folder, by file name."""

    def make(name: str, ticks: Sequence[int], time_base: Fraction, **settings) -> MadeVideo:
        return write_video(tmp_path / name, ticks, time_base, **settings)

    return make


@pytest.fixture(scope="session")
def video_writer() -> Callable[..., MadeVideo]:
    """``write_video``, for files that several tests read."""
    return write_video


@pytest.fixture(scope="session")
def number_in() -> Callable[[np.ndarray], int]:
    """Reads the number that a made frame carries."""
    return read_number


@pytest.fixture(scope="session")
def numbered() -> Callable[..., np.ndarray]:
    """Makes the picture of a numbered frame."""
    return numbered_picture
