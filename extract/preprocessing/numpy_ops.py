"""What is done to a decoded frame before flow and networks see it: resize, grey, crop.

These are the definitions that published I3D features were made with (short side 256, bilinear),
pinned down to the pixel so that the features of a video do not depend on the library at hand.
"""

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[np.uint8], NDArray[np.float32], "Tensor")

# A trailing axis of at most this many entries holds colour channels and not a row of pixels.
MOST_CHANNELS = 4
# Frames that a process resizes before it starts numba: one group of snippets on a CPU.
PLAIN_FRAMES = 64

Mixer = Callable[..., None]
_mixed = itertools.count()


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
    columns = [(3 * side[:, None] + channel).ravel() for side in (left, right)]
    _mixer()(source, (above, below, share), (columns[0], columns[1], np.repeat(along, 3)), target)
    return target.reshape(*size, 3)


def _taps(
    source: int, target: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The two source positions each target position lies between, and the share of the second."""
    position = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
    first = np.floor(position).astype(np.int64)
    second = np.minimum(first + 1, source - 1)
    return first, second, (position - first).astype(np.float32)


def _mixer() -> Mixer:
    """What mixes the next frame of this process.

    The compiled loop takes a third of numpy's time, but numba's start takes as long as some hundred
    frames do. Both give the same bytes.
    """
    if next(_mixed) < PLAIN_FRAMES:
        return mix
    return _compiled_mixer()


@functools.cache
def _compiled_mixer() -> Mixer:
    """The compiled loop; numpy's where numba cannot compile it or computes something else."""
    from extract.machine.numba_cache import works

    taps = _taps(7, 5)
    source = (np.arange(49, dtype=np.uint8) * 5).reshape(7, 7)
    plain, found = np.zeros((2, 5, 5), np.uint8)
    mix(source, taps, taps, plain)

    def example() -> bool:
        from extract.preprocessing.compiled_resize import mix as compiled_mix

        compiled_mix(source, taps, taps, found)
        return np.array_equal(found, plain)

    if not works(example, "the resize of frames", "the slower loop of numpy"):
        return mix
    from extract.preprocessing.compiled_resize import mix as compiled_mix

    return compiled_mix


def mix(
    source: NDArray[np.uint8],
    rows: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    columns: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    target: NDArray[np.uint8],
) -> None:
    """Mix the four source values around each target value, along the row and then down.

    Args:
        source: ``[H, W] uint8``.
        rows: for each row of the target the two source rows, and the share of the second.
        columns: the same for its columns.
        target: ``[H', W'] uint8``, filled.
    """
    left, right, along = columns
    # Of a large frame only the rows that a target row lies between are touched.
    touched, place = np.unique(np.concatenate(rows[:2]), return_inverse=True)
    strip = source if len(touched) == len(source) else source[touched]
    mixed = _between(strip.take(left, axis=1), strip.take(right, axis=1), along)
    upper, lower = np.split(place, 2)
    np.rint(_between(mixed[upper], mixed[lower], rows[2][:, None]), out=target, casting="unsafe")


def _between(
    first: NDArray[Any], second: NDArray[Any], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``first + share * (second - first)``, rounded to float32 at each step."""
    base = first.astype(np.float32)
    found = second.astype(np.float32)
    found -= base
    found *= share
    found += base
    return found


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
            ``[..., H, W]``; an array or a tensor.
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
