"""How many clips a network computes at a time."""

import math

GPU_BATCH = 16
SMALL_BATCH = 4
SMALL_CLIP = 1 << 20
"""A clip of fewer values does not keep a CPU busy."""


def cpu_batch(shape: tuple[int, ...]) -> int:
    """Clips per batch on a CPU, for clips of shape (C, T, H, W).

    One clip of the published size keeps the cores busy, and larger batches need more padding.
    """
    return 1 if math.prod(shape) >= SMALL_CLIP else SMALL_BATCH


def batches(count: int, largest: int) -> list[tuple[int, int]]:
    """First clip and size of each batch: the largest size, and small batches for the rest."""
    full = count // largest * largest
    small = min(largest, SMALL_BATCH)
    sizes = [(first, largest) for first in range(0, full, largest)]
    return sizes + [(first, small) for first in range(full, count, small)]
