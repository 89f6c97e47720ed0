"""BaS-Net's loss: video-level cross-entropy of both branches, and the norm of the filter."""

import torch
import torch.nn.functional as F
from torch import Tensor

from basnet_e2e.heads.basnet.network import Output
from basnet_e2e.heads.basnet.settings import BasnetSettings
from basnet_e2e.heads.basnet.settings import recipe as find_recipe
from basnet_e2e.heads.common.head import Loss
from basnet_e2e.heads.common.pooling import real_rows, with_background

# Rows of a sample for which the paper's weight of the norm was chosen (THUMOS'14).
NORM_ROWS = 750


def basnet_loss(
    output: Output,
    labels: Tensor,
    settings: BasnetSettings,
    valid: Tensor | None = None,
) -> Loss:
    """Loss of one batch.

    The base branch's target for background is 1 in every video, the suppression branch's 0; targets
    are divided by their sum. The suppression branch skips videos without labels. The filter's norm
    counts every video.

    Args:
        output: of the network.
        labels: multi-hot ``[B, C]``.
        settings: alpha, ``norm``, ``class_divisor``, and the recipe, whose terms are summed.
        valid: number of real rows of each video ``[B]``; default: all.

    Returns:
        The total and its terms ``base``, ``suppression`` and ``norm``, those the recipe has.
    """
    recipe = find_recipe(settings.recipe)
    base = suppression = norm = None
    labelled = labels.sum(1) > 0
    if output.scores_base is not None:
        targets = _targets(labels, 1.0 if recipe.background else None)
        used = labelled | recipe.background
        base = _cross_entropy(output.scores_base, targets, used, settings.class_divisor)
    if output.scores_supp is not None and output.foreground is not None:
        targets = _targets(labels, 0.0)
        suppression = _cross_entropy(output.scores_supp, targets, labelled, settings.class_divisor)
        norm = _norm(output.foreground, valid, settings.norm)
    total = sum(term for term in (base, suppression) if term is not None)
    if norm is not None:
        total = total + settings.alpha * norm
    assert isinstance(total, Tensor)
    terms = {"base": base, "suppression": suppression, "norm": norm}
    return Loss(total, {name: term for name, term in terms.items() if term is not None})


def _targets(labels: Tensor, background: float | None) -> Tensor:
    """Labels with that of background, divided by their sum; zero without any."""
    if background is not None:
        labels = with_background(labels, background)
    return labels / labels.sum(1, keepdim=True).clamp(min=1)


def _cross_entropy(scores: Tensor, targets: Tensor, used: Tensor, divisor: int | None) -> Tensor:
    """Binary cross-entropy per class, summed over classes / divisor, mean over the videos used."""
    each = F.binary_cross_entropy(scores, targets, reduction="none")
    by_video = each.sum(1) / (divisor or scores.shape[1])
    return torch.where(used, by_video, 0).sum() / used.sum().clamp(min=1)


def _norm(foreground: Tensor, valid: Tensor | None, kind: str) -> Tensor:
    """Mean over videos of the L1 norm of their foreground weights (which are not negative)."""
    sums = torch.where(real_rows(foreground, valid), foreground, 0).sum(1)
    if kind == "sum":
        return sums.mean()
    return (NORM_ROWS * sums / (foreground.shape[1] if valid is None else valid)).mean()
