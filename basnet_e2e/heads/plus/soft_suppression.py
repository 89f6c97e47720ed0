"""Gaussian soft suppression: an interval lowers the scores of those it overlaps."""

from dataclasses import replace

import numpy as np

from basnet_e2e.heads.common.decoding_rules import Proposals
from basnet_e2e.intervals import temporal_iou

LEAST_SCORE = 1e-3  # what is left below it is dropped


def soft_suppression(found: Proposals, sigma: float) -> Proposals:
    """The best interval lowers the others by ``exp(-iou^2 / sigma)``, then the next best, ...

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
