"""What is done to pictures and flow, on tensors of any device, as numpy's definitions have it.

`extract.preprocessing.numpy_ops` and `extract.preprocessing.flow_quantization` say what is computed
and why. Here the same operations come in the same order, each rounded by itself, so that on a CPU
every value is the same to the bit. Tables are made on the device that holds the frames: nothing but
the frames themselves goes up.
"""

import torch
from torch import Tensor

from extract.preprocessing.flow_quantization import BOUND, LEVELS
from extract.preprocessing.numpy_ops import resized_size


def resize_short_side(frames: Tensor, side: int) -> Tensor:
    """`extract.preprocessing.numpy_ops.resize_short_side` of frames ``[N, H, W, 3] uint8``.

    Returns:
        ``[N, H', W', 3] uint8``; the frames themselves where they already have that size.
    """
    height, width = frames.shape[1:3]
    size = resized_size(height, width, side)
    if size == (height, width):
        return frames
    above, below, down = _taps(height, size[0], frames.device)
    left, right, along = _taps(width, size[1], frames.device)
    across = along[:, None]
    upper, lower = (frames.index_select(1, rows) for rows in (above, below))
    top = _between(upper.index_select(2, left), upper.index_select(2, right), across)
    bottom = _between(lower.index_select(2, left), lower.index_select(2, right), across)
    return _between(top, bottom, down[:, None, None]).round_().to(torch.uint8)


def _taps(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two source positions each target position lies between, and the share of the second."""
    places = torch.arange(target, dtype=torch.float64, device=device)
    position = ((places + 0.5) * (source / target) - 0.5).clamp(0, source - 1)
    first = position.floor()
    second = (first + 1).clamp(max=source - 1)
    return first.long(), second.long(), (position - first).float()


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """``first + share * (second - first)``, rounded to float32 at each step."""
    base = first.float()
    # A new tensor even where `second` is float32 already: `base` may be needed again.
    return second.float().sub(base).mul_(share).add_(base)


def grey(frames: Tensor) -> Tensor:
    """`numpy_ops.grey` of frames ``[N, H, W, 3] uint8``: ``[N, H, W] uint8``."""
    wide = frames.int()
    luma = 299 * wide[..., 0] + 587 * wide[..., 1] + 114 * wide[..., 2]
    return (luma + 500).div_(1000, rounding_mode="floor").to(torch.uint8)


def scale_rgb(pictures: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """Pictures ``[B, T, H, W, 3] uint8`` to the network's colours ``[B, 3, T, H, W] float32``.

    Args:
        pictures: of 0..255.
        mean: see `extract.backbones.spec.BackboneSpec`, whose `scale_rgb` this is.
        deviation: the same.
    """
    clips = pictures.new_empty((len(pictures), 3, *pictures.shape[1:4]), dtype=torch.float32)
    # Numbers for one colour at a time, since a table of three would have to be sent to the device.
    for colour, (middle, spread) in enumerate(zip(mean, deviation, strict=True)):
        torch.mul(pictures[..., colour], 1 / (255 * spread), out=clips[:, colour])
        clips[:, colour].sub_(middle / spread)
    return clips


def quantize_flow(flow: Tensor, mode: str) -> Tensor:
    """`flow_quantization.quantize_flow` of a checked mode; NaN stays NaN."""
    values = flow.clamp(-BOUND, BOUND)
    if mode == "none":
        # By a tensor: a GPU turns division by a number into a product with its reciprocal.
        return values.div_(values.new_full((), BOUND))
    return values.add_(BOUND).mul_(LEVELS / (2 * BOUND)).round_().mul_(2 / LEVELS).sub_(1)
