"""Batches of one fixed shape, so that a snippet's feature does not depend on its neighbours."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

GPU_BATCH = 16
SMALL_BATCH = 4
SMALL_CLIP = 1 << 20  # values of a clip below which one alone does not keep a CPU busy


def cpu_batch(shape: tuple[int, ...]) -> int:
    """Clips per inference on a CPU for clips of (C, T, H, W).

    One clip of the published size keeps the cores busy, and more would only be wasted on the last
    snippets of a video.
    """
    return 1 if int(np.prod(shape)) >= SMALL_CLIP else SMALL_BATCH


def batches(clips: NDArray[np.float32], size: int) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Batches of exactly ``size`` clips, the last filled with zeros, and how many are real."""
    for first in range(0, len(clips), size):
        batch = clips[first : first + size]
        real = len(batch)
        if real < size:
            batch = np.concatenate([batch, np.zeros((size - real, *batch.shape[1:]), np.float32)])
        yield np.ascontiguousarray(batch), real
