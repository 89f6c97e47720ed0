"""Networks of pytorchvideo's model zoo, seen as a feature and a linear classifier on it.

The feature is what enters the last linear layer, averaged over places: the zoo averages logits over
places, and a linear layer on the average is the average of the linear layer.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from weights.libraries import pytorchvideo_network


class ZooNetwork(nn.Module):
    """One network of the zoo, by its name there (``slow_r50``, ``i3d_r50``, ``x3d_m``).

    Its tensors keep the zoo's names, so the zoo's checkpoints load as they are.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        # The zoo's own module list, so that tensor names stay `blocks.0...`.
        self.blocks = cast(nn.ModuleList, pytorchvideo_network(name).blocks)

    @property
    def head(self) -> Any:
        """The zoo's last block: pooling, dropout, linear layer."""
        return self.blocks[-1]

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to what enters the linear layer ``[B, D]``."""
        for block in self.blocks[:-1]:
            x = block(x)
        pooled: Tensor = self.head.pool(x)
        return pooled.mean(dim=(2, 3, 4))

    def classifier(self) -> tuple[Tensor, Tensor]:
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer."""
        return self.head.proj.weight, self.head.proj.bias

    def forward(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to logits ``[B, classes]``."""
        return torch.nn.functional.linear(self.features(x), *self.classifier())
