"""From a decoded frame to the picture that a player shows: upright RGB with square pixels."""

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

# Deep colour is first converted to 8 bits with the same chroma layout: swscale's direct path from
# 10 bits to RGB smears sharp chroma edges (mean error 4 levels against 0.7 on a test picture).
DEEP_FORMAT = re.compile(r"(?:yuva?|yuvj)(4\d\d)p(?:9|10|12|14|16)(?:le|be)")
HALF_PLANE_FORMAT = re.compile(r"p([024])1[0-6](?:le|be)")


def _newer_type(cls: type[Type], value: int) -> Type:
    """A type of side data that is missing from PyAV's table."""
    member = object.__new__(cls)
    member.__dict__.update(_name_=f"TYPE_{value}", _value_=value)
    return member


# PyAV wraps all side data of a frame when asked for one item, and fails on a type it does not know.
Type._missing_ = classmethod(_newer_type)  # type: ignore[assignment, method-assign]


@dataclass(frozen=True)
class Turn:
    """How a display matrix turns the stored picture: transpose, then mirror the axes."""

    transpose: bool = False
    mirror_rows: bool = False
    mirror_columns: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether no rotation has the same effect."""
        return self.transpose ^ self.mirror_rows ^ self.mirror_columns

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn ``[H, W, 3]`` upright; the result is contiguous."""
        if self.transpose:
            picture = picture.transpose(1, 0, 2)
        picture = picture[:: -1 if self.mirror_rows else 1, :: -1 if self.mirror_columns else 1]
        return np.ascontiguousarray(picture)


def turn_of(frame: VideoFrame) -> Turn:
    """Read the display matrix of a frame, rounded to quarter turns.

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
    """How the pictures of a stream are stored and shown, by its first frame.

    Attributes:
        stored: width and height in stored pixels.
        turn: how the picture is turned.
        ratio: width of a stored pixel divided by its height.
        crop: stored pixels that are not shown, at the left, the top, the right and the bottom.
    """

    stored: tuple[int, int]
    turn: Turn = Turn()
    ratio: Fraction = Fraction(1)
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)


def square_size(stored: tuple[int, int], ratio: Fraction) -> tuple[int, int]:
    """Width and height in square pixels; neither side becomes smaller, as in browsers."""
    width, height = stored
    return (round(width * ratio), height) if ratio >= 1 else (width, round(height / ratio))


class Renderer:
    """Turns the frames of a stream into upright RGB pictures of one size; for one thread.

    Colour matrix and range are those of the stream (BT.601 limited by default, as in FFmpeg). A
    frame of another shape than the first is fitted into its size, with black bars. The display
    matrix is read only once: that keeps a frame in memory until Python's cycle collector runs.
    """

    def __init__(self, shape: PictureShape) -> None:
        self._shape = shape
        self._whole = square_size(shape.stored, shape.ratio)
        across, down = (
            Fraction(shown, stored) for shown, stored in zip(self._whole, shape.stored, strict=True)
        )
        left, top, right, bottom = shape.crop
        self._rows = slice(round(top * down), self._whole[1] - round(bottom * down))
        self._columns = slice(round(left * across), self._whole[0] - round(right * across))
        # Kept from frame to frame; setting one up costs as much as a small picture.
        self._scaler = VideoReformatter()
        self._shallow = VideoReformatter()

    def fits(self, frame: VideoFrame, ratio: Fraction) -> bool:
        """Whether a frame with that ratio of its pixels has the shape of the first one."""
        return ((frame.width, frame.height), ratio) == (self._shape.stored, self._shape.ratio)

    def picture(self, frame: VideoFrame, ratio: Fraction | None = None) -> NDArray[np.uint8]:
        """The picture ``[H, W, 3] uint8`` of a frame; its ratio is the first's by default."""
        shallow = eight_bit_format(frame.format.name)
        if shallow is not None:
            frame = self._shallow.reformat(frame, format=shallow)
        ratio = ratio or self._shape.ratio
        if self.fits(frame, ratio):
            picture = self._scaled(frame, self._whole)[self._rows, self._columns]
        else:
            picture = self._fitted(frame, ratio)
        return self._shape.turn.apply(picture)

    def _fitted(self, frame: VideoFrame, ratio: Fraction) -> NDArray[np.uint8]:
        width = self._columns.stop - self._columns.start
        height = self._rows.stop - self._rows.start
        own = square_size((frame.width, frame.height), ratio)
        scale = min(Fraction(width, own[0]), Fraction(height, own[1]))
        size = (max(1, round(own[0] * scale)), max(1, round(own[1] * scale)))
        left, top = (width - size[0]) // 2, (height - size[1]) // 2
        picture = np.zeros((height, width, 3), np.uint8)
        picture[top : top + size[1], left : left + size[0]] = self._scaled(frame, size)
        return picture

    def _scaled(self, frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        frame = self._scaler.reformat(frame, *size, "rgb24")
        return np.asarray(frame.to_ndarray(), np.uint8)
