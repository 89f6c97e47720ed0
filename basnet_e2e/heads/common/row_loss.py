"""Loss of single rows where it is known what happens in them: intervals, points, nothing.

Rows are those of :mod:`basnet_e2e.data.annotations.row_targets`. A video counts as one, however
many rows it has, and its action and background rows count alike, however many there are. With
points alone, background rows are sought between the points (Ma et al., SF-Net, ECCV 2020; Lee and
Byun, LACP, ICCV 2021): see :func:`background_seeds`.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

SURE = 0.95  # probability of background from which on a row before or behind all points is a seed


@dataclass(frozen=True)
class RowBatch:
    """Row targets of the B videos of a batch, zero on padding and where nothing is known.

    Attributes:
        share: ``[B, T, C + 1]``, background last.
        weight: ``[B, T]``.
        complete: ``[B] bool``; False where only points are known.
        place: ``[B]`` in [0, 1): where each lies among the videos with known rows.
    """

    share: Tensor
    weight: Tensor
    complete: Tensor
    place: Tensor

    def to(self, device: torch.device) -> "RowBatch":
        """The targets on a device."""
        parts = self.share, self.weight, self.complete, self.place
        return RowBatch(*(each.to(device) for each in parts))

    def without(self, part: int, parts: int) -> "RowBatch":
        """The targets without those of the annotated videos of one of several equal parts."""
        if parts == 1:
            return self
        kept = ~self.complete | ((self.place * parts).long() != part)
        return replace(self, weight=self.weight * kept[:, None])


def row_loss(cas: Tensor, foreground: Tensor, mask: Tensor, rows: RowBatch) -> Tensor:
    """Cross-entropy of each row's classes and binary cross-entropy of its foreground weight.

    Args:
        cas: ``[B, T, C + 1]`` activation, background last.
        foreground: ``[B, T]`` foreground weights in [0, 1].
        mask: real rows ``[B, T] bool``.
        rows: what is known of them.

    Returns:
        Mean over the videos with a known row; 0 where there is none.
    """
    log_share = torch.log_softmax(cas, dim=2)
    share, weight = rows.share.to(cas), rows.weight.to(cas)
    incomplete = ~rows.complete & (weight.sum(1) > 0)
    if incomplete.any():
        share, weight = _with_seeds(log_share, mask, share, weight, incomplete)
    action = 1 - share[..., -1]
    entropy = -(share * log_share).sum(2)
    entropy = entropy + F.binary_cross_entropy(foreground, action, reduction="none")
    means, kinds = [], []
    for kind in (action, 1 - action):
        total = (weight * kind).sum(1)
        means.append((weight * kind * entropy).sum(1) / total.clamp(min=1e-6))
        kinds.append((total > 0).to(cas))
    by_video = (means[0] * kinds[0] + means[1] * kinds[1]) / (kinds[0] + kinds[1]).clamp(min=1)
    known = torch.maximum(*kinds)
    return (by_video * known).sum() / known.sum().clamp(min=1)


def background_seeds(points: NDArray[np.bool_], background: NDArray[np.float64]) -> list[int]:
    """Rows of one video that are taken for background, by its points.

    Between two points it is the row of highest probability; ahead of the first point and behind
    the last one too, if that is ``SURE`` or more. More rows than these, as in LACP, cost actions
    that follow each other closely their borders.

    Args:
        points: ``[n]`` which rows hold a point; at least one does.
        background: ``[n]`` probability of background.
    """
    at = np.flatnonzero(points)
    found = []
    for low, high in zip([-1, *at], [*at, len(points)], strict=True):
        gap = background[low + 1 : high]
        if len(gap) and ((low >= 0 and high < len(points)) or gap.max() >= SURE):
            found.append(int(low + 1 + gap.argmax()))
    return found


def _with_seeds(
    log_share: Tensor, mask: Tensor, share: Tensor, weight: Tensor, incomplete: Tensor
) -> tuple[Tensor, Tensor]:
    """Targets with the background seeds of videos of which only points are known."""
    share, weight = share.clone(), weight.clone()
    for video in torch.nonzero(incomplete)[:, 0].tolist():
        real = int(mask[video].sum())
        background = log_share[video, :real, -1].detach().exp().double().cpu().numpy()
        points = (weight[video, :real] > 0).cpu().numpy()
        seeds = background_seeds(points, background)
        share[video, seeds] = 0
        share[video, seeds, -1] = 1
        weight[video, seeds] = 1
    return share, weight
