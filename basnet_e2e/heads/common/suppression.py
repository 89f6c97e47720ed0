"""Non-maximum suppression of intervals in time, hard and soft."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.heads.common.decoding_rules import Proposals
from basnet_e2e.intervals import Floats, temporal_iou

LEAST_SCORE = 1e-3  # soft suppression drops what falls below it


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
        overlap = temporal_iou(start[best], end[best], start[left], end[left], extra)
        left = left[overlap < iou]
    return np.array(kept, np.intp)


def soft_suppression(found: Proposals, sigma: float) -> Proposals:
    """The best interval lowers the scores of the others by ``exp(-iou^2 / sigma)``, then the next.

    Args:
        found: intervals of one class.
        sigma: see above.

    Returns:
        Those whose score stays at .001 or above, best first.
    """
    score = found.score.copy()
    left = np.arange(len(score))
    order = []
    while len(left):
        best = left[score[left].argmax()]
        if score[best] < LEAST_SCORE:
            break
        order.append(best)
        left = left[left != best]
        overlap = temporal_iou(
            found.start[best], found.end[best], found.start[left], found.end[left]
        )
        score[left] *= np.exp(-(overlap**2) / sigma)
    return replace(found, score=score).take(np.array(order, np.intp))
