"""AutoLoc's loss of intervals: mean activation in a ring around them against the mean inside."""

import torch
from torch import Tensor

RING = 0.25  # width of the ring on each side, as a share of the interval; a row at least
SHORTEST = 1e-3  # rows; a shorter interval holds nothing


def integral(curve: Tensor) -> Tensor:
    """Sums of a curve ``[T]`` up to each edge between rows ``[T + 1]``."""
    return torch.cat([curve.new_zeros(1), curve.cumsum(0)])


def integral_at(sums: Tensor, places: Tensor) -> Tensor:
    """The integral at any places in [0, T], linear between edges and so differentiable."""
    low = places.detach().floor().long().clamp(0, len(sums) - 2)
    return sums[low] + (places - low) * (sums[low + 1] - sums[low])


def outer_inner_loss(curve: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """``(mean of the ring - mean inside + 1) / 2`` of intervals.

    Args:
        curve: activation of one class ``[T]`` in [0, 1]; row i covers i to i + 1.
        start: in rows and their fractions ``[...]``; what lies beyond the video is cut off.
        end: likewise.

    Returns:
        ``[...]`` in [0, 1]; 1 for intervals that hold nothing.
    """
    rows = len(curve)
    ring = (RING * (end - start)).clamp(min=1)
    low, high = (start - ring).clamp(0, rows), (end + ring).clamp(0, rows)
    start, end = start.clamp(0, rows), end.clamp(0, rows)
    sums = integral(curve)
    before, first, last, behind = (integral_at(sums, each) for each in (low, start, end, high))
    width = end - start
    inside = (last - first) / width.clamp(min=SHORTEST)
    around = (high - low) - width
    outside = (behind - before - (last - first)) / around.clamp(min=SHORTEST)
    return torch.where(width > SHORTEST, (outside - inside + 1) / 2, 1.0)
