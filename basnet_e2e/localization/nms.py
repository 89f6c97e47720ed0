"""Non-maximum suppression of intervals in time."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def non_maximum_suppression(
    start: Floats, end: Floats, score: Floats, iou: float, extra: float = 0.0
) -> NDArray[np.intp]:
    """Which intervals of one class to keep: the best, then those that overlap no kept one by much.

    Args:
        start: ``[P]`` seconds.
        end: ``[P]`` seconds.
        score: ``[P]``.
        iou: an interval is left out if its temporal IoU with a kept one is this or more.
        extra: added to every length and overlap; the released code adds 1, which for pixels counts
            both ends but makes seconds overlap that are apart.

    Returns:
        Indices of the kept intervals, best first, input order on ties.
    """
    left = np.argsort(-score, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        shared = np.minimum(end[best], end[left]) - np.maximum(start[best], start[left]) + extra
        shared = np.maximum(shared, 0.0)
        union = (end[best] - start[best]) + (end[left] - start[left]) + 2 * extra - shared
        # An interval without length covers nothing and is covered by none.
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        left = left[overlap < iou]
    return np.array(kept, np.intp)
