"""The torch engine's warp: the second image and its gradient, sampled along a flow.

Shapes: B pairs of ``[H, W] float32``; flow ``[2, B, H, W]``, u and v, in pixels.
"""

import numpy as np
import torch
import torch.nn.functional as F

from extract.flow.tvl1.params import BORDER
from extract.flow.tvl1.steps import Linear

# Squared gradients below this have no direction (float32 epsilon, as in OpenCV).
FLAT = float(np.finfo(np.float32).eps)


def interleave(image: torch.Tensor) -> torch.Tensor:
    """Image ``[B, H, W]`` and its central differences side by side, ``[B, H + 4, W + 4, 4]``.

    The border is repeated twice, so that no tap falls outside. The fourth value is padding, which
    makes a tap 16 bytes.
    """
    wide = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = 0.5 * (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2])
    down = 0.5 * (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1])
    channels = torch.stack([image, across, down, torch.zeros_like(image)], dim=1)
    border = (BORDER,) * 4
    return F.pad(channels, border, mode="replicate").permute(0, 2, 3, 1).contiguous()


def linearise(first: torch.Tensor, taps: torch.Tensor, flow: torch.Tensor) -> Linear:
    """Linearise the second image, given by its ``taps``, at ``flow [2, B, H, W]``."""
    height, width = first.shape[1:]
    x = flow[0] + torch.arange(width, device=flow.device)
    y = flow[1] + torch.arange(height, device=flow.device)[:, None]
    # Pixels that move out of the frame have no data term; smoothness alone determines their flow.
    visible = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).to(flow.dtype)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    warped, ix, iy = _bicubic(taps, x, y)
    ix, iy = visible * ix, visible * iy
    rho_c = visible * (warped - first) - ix * flow[0] - iy * flow[1]
    # Without a gradient, the data term changes nothing.
    inverse = 1 / (ix * ix + iy * iy).clamp(min=FLAT)
    return Linear(torch.stack([ix, iy]), rho_c, inverse)


def _bicubic(
    taps: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The image and its two differences ``[B, H, W]`` at positions inside the frame."""
    count, tall, wide, _ = taps.shape
    left, upper = x.floor(), y.floor()
    weights_x, weights_y = _cubic_weights(x - left), _cubic_weights(y - upper)
    starts = torch.arange(count, device=x.device)[:, None, None] * tall
    index = (starts + upper.long() + (BORDER - 1)) * wide + left.long() + (BORDER - 1)
    index = index.flatten()
    pixels = taps.view(-1, 4)

    def column(n: int) -> torch.Tensor:
        total = torch.zeros((*x.shape, 4), device=x.device)
        for m, weight in enumerate(weights_y):
            values = pixels[m * wide + n :].index_select(0, index).view_as(total)
            total += values.mul_(weight[..., None])
        return total.mul_(weights_x[n][..., None])

    # In the order of the CPU engine's sum, so that both round alike.
    total = column(0).add_(column(2)).add_(column(1).add_(column(3)))
    return total[..., 0], total[..., 1], total[..., 2]


def _cubic_weights(offset: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Weights of the four neighbours at ``offset`` in [0, 1): Keys' kernel with a = -0.5."""
    t = offset
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
