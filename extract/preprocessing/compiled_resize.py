"""The innermost loop of resizing as machine code; it computes what `torch_ops` does."""

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
    """Mix the four source values around each target value, along the row and then down.

    Args:
        source: ``[H, W] uint8``.
        rows: for each row of the target the two source rows, and the weight of the second.
        columns: the same for its columns.
        target: ``[H', W'] uint8``, filled.
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
