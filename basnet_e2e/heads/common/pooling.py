"""Operations on the rows of a batch: masks, top-k means, softmax over time, label losses."""

import numpy as np
import torch
from torch import Tensor

from basnet_e2e.heads.common.decoding_rules import Floats


def real_rows(x: Tensor, valid: Tensor | None) -> Tensor:
    """Which rows of a batch are not padding.

    Args:
        x: ``[B, T, ...]``.
        valid: real rows of each video ``[B] int``; None where all are.

    Returns:
        ``[B, T] bool``.
    """
    if valid is None:
        return x.new_ones(x.shape[:2], dtype=torch.bool)
    return torch.arange(x.shape[1], device=x.device) < valid[:, None]


def softmax_rows(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the real rows of ``[B, T]``; 0 on padding."""
    return torch.softmax(logits.masked_fill(~mask, -torch.inf), dim=1)


def with_background(labels: Tensor, background: float) -> Tensor:
    """Labels ``[B, C]`` with a column for background: ``[B, C + 1]``."""
    return torch.cat([labels, labels.new_full((len(labels), 1), background)], dim=1)


def label_entropy(log_scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy ``-sum_c ybar_c log p_c`` with labels divided by their sum, mean over videos.

    Args:
        log_scores: logarithms of the classes' shares ``[B, C]``.
        labels: multi-hot ``[B, C]``; a video without labels is not an example.
    """
    count = labels.sum(1)
    by_video = -(labels / count.clamp(min=1)[:, None] * log_scores).sum(1)
    return by_video.sum() / (count > 0).sum().clamp(min=1)


def as_array(part: Tensor) -> Floats:
    """Network output as float64 array."""
    return np.asarray(part.detach().cpu().numpy(), np.float64)


def top_mean(cas: Tensor, mask: Tensor | None, ratio: int, *, up: bool = False) -> Tensor:
    """Mean of each class's ``max(1, rows // ratio)`` highest activations.

    Args:
        cas: ``[B, T, N]``.
        mask: real rows ``[B, T] bool``; None where all are.
        ratio: r of the paper.
        up: round ``rows / ratio`` up instead of down.

    Returns:
        ``[B, N]``.
    """
    more = ratio - 1 if up else 0
    by_class = cas.transpose(1, 2).contiguous()
    if mask is None:
        return by_class.topk(max(1, (cas.shape[1] + more) // ratio), dim=2).values.mean(2)
    counts = ((mask.sum(1) + more) // ratio).clamp(min=1)
    hidden = by_class.masked_fill(~mask[:, None], -torch.inf)
    highest = hidden.topk(int(counts.max()), dim=2).values
    used = torch.arange(highest.shape[2], device=cas.device) < counts[:, None]
    total = torch.where(used[:, None], highest, 0).sum(2)
    return total / counts[:, None].to(total.dtype)


def at_least_float(x: Tensor) -> Tensor:
    """The tensor in float32 where autocast made it narrower."""
    return x.float() if x.dtype.itemsize < 4 else x
