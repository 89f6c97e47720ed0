"""Principal components of feature rows: what varies most in the training videos."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LEAST_VARIANCE = 1e-12  # of features that are all the same


class Projection(nn.Module):
    """Rows less their mean, on their first principal axes, scaled to variance 1 on average.

    Mean and axes are measured once on the training videos and belong to the network's state.

    Args:
        features: width F of the rows.
        components: K axes, at most F.
    """

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.width = min(features, components)
        self.mean: Tensor
        self.axes: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("axes", torch.eye(features, self.width))

    def measure(self, videos: Iterable[NDArray[np.float32]]) -> None:
        """Take mean and axes from the rows ``[T, F]`` of all videos."""
        features = len(self.mean)
        count, total = 0, np.zeros(features)
        square = np.zeros((features, features))
        for x in videos:
            count += len(x)
            total += x.sum(axis=0, dtype=np.float64)
            square += x.T @ x
        mean = total / count
        variance, axes = np.linalg.eigh(square / count - np.outer(mean, mean))
        chosen = slice(None, -self.width - 1, -1)  # ascending order: the last are the largest
        scale = np.sqrt(max(float(variance[chosen].mean()), LEAST_VARIANCE))
        self.mean.copy_(torch.from_numpy(mean))
        self.axes.copy_(torch.from_numpy(axes[:, chosen] / scale))

    def forward(self, x: Tensor) -> Tensor:
        """Rows ``[..., F]`` on the axes ``[..., K]``."""
        return (x - self.mean) @ self.axes
