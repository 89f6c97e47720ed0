"""The inner loop of `torch_ops.resize_short_side` as machine code."""

import numpy as np
from numpy.typing import NDArray

from extract.machine.numba_cache import compiled


@compiled()
def mix(
    source: NDArray[np.uint8],
    rows: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    columns: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]],
    target: NDArray[np.uint8],
) -> None:
    """Bilinear mix of ``source [H, W]`` into ``target [H', W']``, along the row and then down.

    ``rows`` and ``columns`` are `torch_ops.Taps`.
    """
    left, right, along = columns
    for y in range(target.shape[0]):
        upper, lower, down = source[rows[0][y]], source[rows[1][y]], rows[2][y]
        for x in range(target.shape[1]):
            first, second, share = left[x], right[x], along[x]
            top = np.float32(upper[first])
            top += share * (np.float32(upper[second]) - top)
            bottom = np.float32(lower[first])
            bottom += share * (np.float32(lower[second]) - bottom)
            target[y, x] = np.uint8(np.rint(top + down * (bottom - top)))
