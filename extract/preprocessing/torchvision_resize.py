"""Resizing by torchvision itself, for networks that were trained on its pictures.

They were resized to a fixed size, by cubic interpolation, with antialiasing, or with the long side
rounded down, unlike those of published I3D features (`extract.preprocessing.torch_ops`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


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
