"""Videos of different lengths in one long video, so that padding costs no work."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Positions of the rows of a padded batch ``[B, T]`` in one long video of L rows.

    Each video is followed by one empty row, as zero padding for a convolution of kernel 3.

    Attributes:
        shape: B and T.
        rows: ``[N]`` indices in ``B * T`` of the rows up to each video's last real one.
        places: ``[N]`` their indices in the long video.
        real: ``[1, L, 1] bool`` rows of the long video that are neither empty nor padding.
    """

    shape: tuple[int, int]
    rows: Tensor
    places: Tensor
    real: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> "Packing":
        """From the real rows ``[B, T] bool`` of a batch; there may be padding between them."""
        behind = mask.flip(1).cummax(1).values.flip(1)  # not after the last real row
        rows = behind.flatten().nonzero()[:, 0]
        videos = rows // mask.shape[1]
        places = torch.arange(len(rows), device=mask.device) + videos
        real = mask.new_zeros(1, len(rows) + len(mask), 1)
        real[0, places, 0] = mask.flatten()[rows]
        return cls((mask.shape[0], mask.shape[1]), rows, places, real)

    def pack(self, x: Tensor) -> Tensor:
        """Batch ``[B, T, F]`` to ``[1, L, F]``; rows that are not real become 0."""
        packed = x.new_zeros(1, self.real.shape[1], x.shape[2])
        packed[0, self.places] = x.flatten(0, 1)[self.rows]
        return packed * self.real

    def unpack(self, packed: Tensor) -> Tensor:
        """``[K, L, C]`` to ``[K * B, T, C]``; rows behind the last real one are 0."""
        out = packed.new_zeros(len(packed), self.shape[0] * self.shape[1], packed.shape[2])
        out[:, self.rows] = packed[:, self.places]
        return out.view(-1, self.shape[1], packed.shape[2])
