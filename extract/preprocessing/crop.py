"""Centre crops of pictures and flow fields, for arrays and tensors."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", NDArray[np.uint8], NDArray[np.float32], "Tensor")

# A trailing axis of at most this many entries holds colour channels and not a row of pixels.
MOST_CHANNELS = 4


def centre_crop(array: Array, size: int) -> Array:
    """The central ``size`` by ``size`` pixels as a view, at offset ``(n - size) // 2``.

    Args:
        array: pictures ``[..., H, W, channels]`` with at most four channels, or fields
            ``[..., H, W]``.
        size: pixels of each side.

    Raises:
        ExtractError: the array is smaller than the crop.
    """
    channels = array.ndim > 2 and array.shape[-1] <= MOST_CHANNELS
    height, width = array.shape[-3:-1] if channels else array.shape[-2:]
    _check_size(height, width, size)
    top, left = (height - size) // 2, (width - size) // 2
    rows, columns = slice(top, top + size), slice(left, left + size)
    return array[..., rows, columns, :] if channels else array[..., rows, columns]


def even_crop(picture: Array, size: int) -> Array:
    """Torchvision's centre crop of ``[H, W, 3]``: the offset is half the rest, rounded to even.

    Raises:
        ExtractError: the picture is smaller than the crop.
    """
    height, width = picture.shape[:2]
    _check_size(height, width, size)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return picture[top : top + size, left : left + size]


def _check_size(height: int, width: int, size: int) -> None:
    if min(height, width) < size:
        raise ExtractError(f"a frame of {width}x{height} pixels is smaller than the crop of {size}")
