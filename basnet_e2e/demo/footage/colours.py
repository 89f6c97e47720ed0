"""Random colours. They are drawn for every actor and background, so no class has a colour."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""BT.601 weights of red, green and blue."""


def two_colours(
    rng: Generator, contrast: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two random colours, ``[3] float32`` in 0..255, whose brightness differs by ``contrast``.

    Args:
        rng: source of randomness.
        contrast: range of the difference in luma, in grey levels.
    """
    first = rng.uniform(20, 235, 3).astype(np.float32)
    second = rng.uniform(20, 235, 3).astype(np.float32)
    gap = float(rng.uniform(*contrast)) * (1 if (second - first) @ LUMA > 0 else -1)
    # Shift both towards opposite ends until their brightness differs by the gap wanted.
    shift = (gap - (second - first) @ LUMA) / 2
    return np.clip(first - shift, 0, 255), np.clip(second + shift, 0, 255)
