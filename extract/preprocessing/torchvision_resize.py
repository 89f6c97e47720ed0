"""Resizing and cropping as torchvision does, for networks that were trained on its pictures.

`extract.preprocessing.torch_ops` holds the definitions of published I3D features. Libraries of
networks resize otherwise: to a fixed size, by cubic interpolation, with antialiasing, or with the
long side rounded down; and their centre crop is rounded to the even side. Here torchvision itself
does it, so that a network sees the very pictures that it saw in training.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from extract.preprocessing.crop import Array


@dataclass(frozen=True)
class Resize:
    """How a frame is resized.

    Attributes:
        size: pixels of the short side, or (height, width) whatever the frame's proportions.
        interpolation: between pixels.
        antialias: whether a frame is smoothed as it shrinks.
    """

    size: int | tuple[int, int]
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    antialias: bool = False

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Height and width afterwards; the long side is rounded down."""
        if not isinstance(self.size, int):
            return self.size
        if height <= width:
            return self.size, self.size * width // height
        return self.size * height // width, self.size

    def of(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame ``[H, W, 3] uint8`` resized."""
        import torch
        from torchvision.transforms import InterpolationMode, functional
        from torchvision.transforms.v2 import functional as second

        target = self.target(*frame.shape[:2])
        if target == frame.shape[:2]:
            return frame
        # Both generations round to whole levels, the second on its way and the first at its end:
        # networks of torchvision were trained by the first, those of transformers by the second.
        resize = second.resize if self.antialias else functional.resize
        picture = torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))
        mode = InterpolationMode(self.interpolation)
        resized = resize(picture, list(target), mode, antialias=self.antialias)
        return resized.numpy().transpose(1, 2, 0)


def even_crop(picture: Array, side: int) -> Array:
    """The middle ``side`` by ``side`` pixels of ``[H, W, 3]``, a half offset rounded to even.

    Of an array or a tensor.

    Raises:
        ExtractError: the picture is smaller than the crop.
    """
    height, width = picture.shape[:2]
    if min(height, width) < side:
        raise ExtractError(f"a frame of {width}x{height} pixels is smaller than the crop of {side}")
    top, left = round((height - side) / 2), round((width - side) / 2)
    return picture[top : top + side, left : left + side]
