"""What is done to a decoded frame before flow and networks see it: resize, grey, crop.

These are the definitions that published I3D features were made with (short side 256, bilinear),
pinned down to the pixel so that the features of a video do not depend on the library at hand.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from extract.compiled_code import compiled
from extract.errors import ExtractError

Array = TypeVar("Array", NDArray[np.uint8], NDArray[np.float32])

# A trailing axis of at most this many entries holds colour channels and not a row of pixels.
MOST_CHANNELS = 4


def resized_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width after the short side became ``side`` pixels; the long side is rounded."""
    short, long = min(height, width), max(height, width)
    other = (2 * long * side + short) // (2 * short)
    return (side, other) if height <= width else (other, side)


def resize_short_side(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize a frame so that its short side has ``side`` pixels; small frames are enlarged.

    Bilinear, sampled at pixel centres (``x = (i + 0.5) * scale - 0.5``, held at the border) and
    without antialiasing, rounded to the nearest integer.

    Args:
        frame: ``[H, W, 3] uint8``.
        side: pixels of the short side afterwards.

    Returns:
        ``[H', W', 3] uint8``; the frame itself where it already has that size.
    """
    height, width = frame.shape[:2]
    size = resized_size(height, width, side)
    if size == (height, width):
        return frame
    above, below, share = _taps(height, size[0])
    left, right, along = _taps(width, size[1])
    channel = np.arange(3)
    source = np.ascontiguousarray(frame).reshape(height, width * 3)
    target = np.empty((size[0], size[1] * 3), np.uint8)
    _mix(
        source,
        (above, below, share),
        ((3 * left[:, None] + channel).ravel(), (3 * right[:, None] + channel).ravel()),
        np.repeat(along, 3),
        target,
    )
    return target.reshape(*size, 3)


def _taps(
    source: int, target: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The two source positions each target position lies between, and the share of the second."""
    position = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
    first = np.floor(position).astype(np.int64)
    second = np.minimum(first + 1, source - 1)
    return first, second, (position - first).astype(np.float32)


@compiled()
def _mix(
    source: NDArray[np.uint8],
    rows: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    columns: tuple[NDArray[np.int64], NDArray[np.int64]],
    along: NDArray[np.float32],
    target: NDArray[np.uint8],
) -> None:
    """Mix the four source values around each target value; channels are interleaved in a row.

    Only the two source rows that an output row lies between are touched, so that a large frame
    costs little more than its small result.
    """
    left, right = columns
    for y in range(target.shape[0]):
        upper, lower, down = source[rows[0][y]], source[rows[1][y]], rows[2][y]
        for x in range(target.shape[1]):
            first, second, share = left[x], right[x], along[x]
            top = np.float32(upper[first])
            top += share * (np.float32(upper[second]) - top)
            bottom = np.float32(lower[first])
            bottom += share * (np.float32(lower[second]) - bottom)
            target[y, x] = np.uint8(np.rint(top + down * (bottom - top)))


def grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of an RGB frame, ``[H, W, 3] uint8 -> [H, W] uint8``.

    ITU-R BT.601: ``0.299 R + 0.587 G + 0.114 B``, rounded to the nearest integer.
    """
    wide = frame.astype(np.uint32)
    luma = 299 * wide[..., 0] + 587 * wide[..., 1] + 114 * wide[..., 2]
    return ((luma + 500) // 1000).astype(np.uint8)


def centre_crop(array: Array, size: int) -> Array:
    """The ``size`` by ``size`` pixels in the middle, as a view; the offset is ``(n - size) // 2``.

    Args:
        array: pictures ``[..., H, W, channels]`` with at most four channels, or fields
            ``[..., H, W]``.
        size: pixels of each side.

    Raises:
        ExtractError: the array is smaller than the crop.
    """
    channels = array.ndim > 2 and array.shape[-1] <= MOST_CHANNELS
    height, width = array.shape[-3:-1] if channels else array.shape[-2:]
    if min(height, width) < size:
        raise ExtractError(f"a frame of {width}x{height} pixels is smaller than the crop of {size}")
    top, left = (height - size) // 2, (width - size) // 2
    rows, columns = slice(top, top + size), slice(left, left + size)
    return array[..., rows, columns, :] if channels else array[..., rows, columns]
