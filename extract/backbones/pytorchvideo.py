"""Networks of pytorchvideo's model zoo, split into features and a linear classifier.

The feature is the input of the last linear layer, averaged over positions. The zoo averages logits
over positions, which is the same, since the layer is linear.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from weights.formats.libraries import pytorchvideo_network


class PytorchvideoNetwork(nn.Module):
    """A network by its name in the zoo, whose checkpoints load unchanged."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.blocks = cast(nn.ModuleList, pytorchvideo_network(name).blocks)

    @property
    def head(self) -> Any:
        """The last block: pooling, dropout, linear layer."""
        return self.blocks[-1]

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to features ``[B, D]``."""
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
