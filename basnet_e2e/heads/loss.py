"""BaS-Net's loss: video-level cross-entropy of both branches, and the norm of the filter."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from basnet_e2e.heads.basnet import Output
from basnet_e2e.heads.presets import Preset, Recipe

# Rows of a sample for which the paper's weight of the norm was chosen (THUMOS'14).
NORM_ROWS = 750


@dataclass(frozen=True)
class Loss:
    """Total loss and its terms, scalars; a term that the recipe has not is None."""

    total: Tensor
    base: Tensor | None
    suppression: Tensor | None
    norm: Tensor | None


def basnet_loss(
    output: Output,
    labels: Tensor,
    preset: Preset,
    recipe: Recipe,
    valid: Tensor | None = None,
) -> Loss:
    """Loss of one batch.

    The base branch is told that every video holds background, the suppression branch that none
    does; targets are divided by their sum. A video without label is background alone to the base
    branch and no example to the suppression branch. The filter's norm counts every video.

    Args:
        output: of the network.
        labels: multi-hot ``[B, C]``.
        preset: alpha, ``norm`` and ``class_divisor``.
        recipe: which terms there are.
        valid: number of real rows of each video ``[B]``; all where None.
    """
    base = suppression = norm = None
    labelled = labels.sum(1) > 0
    if output.scores_base is not None:
        targets = _targets(labels, 1.0) if recipe.background else _targets(labels, None)
        used = labelled | recipe.background
        base = _cross_entropy(output.scores_base, targets, used, preset.class_divisor)
    if output.scores_supp is not None and output.foreground is not None:
        targets = _targets(labels, 0.0)
        suppression = _cross_entropy(output.scores_supp, targets, labelled, preset.class_divisor)
        norm = _norm(output.foreground, valid, preset.norm)
    total = sum(term for term in (base, suppression) if term is not None)
    if norm is not None:
        total = total + preset.alpha * norm
    assert isinstance(total, Tensor)
    return Loss(total, base, suppression, norm)


def _targets(labels: Tensor, background: float | None) -> Tensor:
    """Labels with the background's, divided by their sum; zero where there is none."""
    if background is not None:
        labels = torch.cat([labels, labels.new_full((len(labels), 1), background)], dim=1)
    return labels / labels.sum(1, keepdim=True).clamp(min=1)


def _cross_entropy(scores: Tensor, targets: Tensor, used: Tensor, divisor: int | None) -> Tensor:
    """Binary cross-entropy per class, summed over classes / divisor, mean over the videos used."""
    each = F.binary_cross_entropy(scores, targets, reduction="none")
    by_video = each.sum(1) / (divisor or scores.shape[1])
    return torch.where(used, by_video, 0).sum() / used.sum().clamp(min=1)


def _norm(foreground: Tensor, valid: Tensor | None, kind: str) -> Tensor:
    """Mean over videos of the L1 norm of their foreground weights (which are not negative)."""
    rows = foreground.shape[1]
    if valid is not None:
        real = torch.arange(rows, device=foreground.device) < valid[:, None]
        foreground = torch.where(real, foreground, 0)
    sums = foreground.sum(1)
    if kind == "sum":
        return sums.mean()
    return (NORM_ROWS * sums / (rows if valid is None else valid)).mean()
