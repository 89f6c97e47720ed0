"""Pairs of videos that share a class: drawing them, and the co-activity loss of W-TALC."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from basnet_e2e.heads.common.pooling import softmax_rows


def choose_pairs(
    labels: NDArray[np.float32], step: int, seed: int, batch: int, pairs: int
) -> list[int]:
    """Videos of one step: pairs that share a class one behind the other, then any others.

    Args:
        labels: multi-hot ``[videos, C]``.
        step: counted from 0.
        seed: of the run.
        batch: videos wanted; fewer where there are not as many.
        pairs: wanted among them; none of classes that only one video has.
    """
    rng = np.random.default_rng([seed, 2, step])
    free = np.ones(len(labels), bool)
    chosen: list[int] = []
    for _ in range(min(pairs, batch // 2)):
        shared = np.flatnonzero(labels[free].sum(0) >= 2)
        if not len(shared):
            break
        having = np.flatnonzero(free & (labels[:, rng.choice(shared)] > 0))
        pair = rng.choice(having, 2, replace=False)
        free[pair] = False
        chosen += pair.tolist()
    others = rng.permutation(np.flatnonzero(free))
    return chosen + [int(each) for each in others[: max(0, batch - len(chosen))]]


def co_activity(
    x: Tensor, cas: Tensor, mask: Tensor, labels: Tensor, pairs: int, margin: float
) -> Tensor:
    """How far the actions of videos that share a class are from each other, against background.

    With ``a = softmax_t(CAS_j)``, ``H = X^T a``, ``L = X^T (1 - a) / (T - 1)`` of both videos and
    d = 1 - cosine, a pair's loss for class j is half of ``max(0, d(H1, H2) - d(H1, L2) + margin)
    + max(0, d(H1, H2) - d(H2, L1) + margin)``.

    Args:
        x: rows that the classifier sees ``[B, T, H]``.
        cas: ``[B, T, C]``.
        mask: real rows ``[B, T] bool``.
        labels: multi-hot ``[B, C]``.
        pairs: the first ``2 * pairs`` videos are pairs; those that share no class do not count.
        margin: see above.

    Returns:
        Mean over pairs and their shared classes; 0 where there is none.
    """
    count = 2 * min(pairs, len(x) // 2)
    terms = []
    for first in range(0, count, 2):
        for j in torch.nonzero(labels[first] * labels[first + 1])[:, 0]:
            (high_1, low_1), (high_2, low_2) = (
                _high_and_low(x[each], cas[each, :, j], mask[each]) for each in (first, first + 1)
            )
            apart = _distance(high_1, high_2)
            terms.append(F.relu(apart - _distance(high_1, low_2) + margin) / 2)
            terms.append(F.relu(apart - _distance(high_2, low_1) + margin) / 2)
    # Both halves of a pair are terms of their own.
    return 2 * torch.stack(terms).mean() if terms else (x * 0).sum()


def _high_and_low(x: Tensor, activation: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Means of a video's rows ``[H]``, weighted by where a class is and by where it is not."""
    shares = softmax_rows(activation[None], mask[None])[0]
    rest = torch.where(mask, 1 - shares, 0) / (mask.sum() - 1).clamp(min=1)
    return shares @ x, rest @ x


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(one, other, dim=0)
