"""MAAN: STPN with the expected mean of a random subset of the rows in place of the weighted mean.

The attention is the probability that a row is in the subset. The published recursion over subsets
is replaced by an integral that gives the same weights. UNVERIFIED: the training settings (STPN's,
without its sparsity term), and that intervals are decoded as STPN's, from these probabilities.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from basnet_e2e.heads.baselines.stpn import (
    AttentionSettings,
    Output,
    Stpn,
    StpnHead,
    attention_presets,
    class_entropy,
)
from basnet_e2e.heads.common.head import Batch, Loss
from basnet_e2e.heads.common.settings import Preset

NODES = 64


@cache
def quadrature() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return tuple((nodes + 1) / 2), tuple(weights / 2)


def expected_shares(p: Tensor) -> Tensor:
    """Expected share of each row in the mean of a random subset, ``E[z_i / sum_j z_j]``.

    With z_j independent and 1 with probability p_j, the share of row i is ``p_i`` times the
    integral over u in [0, 1] of ``prod_{j != i} (1 - p_j + p_j u)``: the product is the generating
    function of how many other rows are in the subset, and ``1 / (n + 1)`` the integral of ``u^n``.
    The quadrature is exact up to 128 rows; the product is taken in logarithms.

    Args:
        p: ``[B, T]`` in [0, 1]; rows with probability 0 have no influence.

    Returns:
        ``[B, T]``; they add up to the probability that the subset is not empty.
    """
    nodes, weights = (torch.tensor(each, dtype=p.dtype, device=p.device) for each in quadrature())
    # No node is 0, so that every factor is positive. [B, T, nodes]
    factors = torch.log1p(-p[:, :, None] * (1 - nodes))
    others = factors.sum(1, keepdim=True) - factors
    return p * (others.exp() * weights).sum(2)


class Maan(Stpn):
    """STPN's network with expected shares as weights."""

    def weights(self, attention: Tensor, mask: Tensor) -> Tensor:
        """Expected share of each row ``[B, T]``."""
        return expected_shares(attention)


class MaanHead(StpnHead):
    """Marginalized average attention."""

    name = "maan"
    network_class = Maan
    own = AttentionSettings
    # Without weight decay the attention overfits single rows of the training videos; with more it
    # learns nothing from few videos.
    presets = attention_presets("maan", AttentionSettings(), small_rate=2e-3, weight_decay=0.06)

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Binary cross-entropy of each class, summed over streams."""
        batch.check_finite(output.logits)
        entropy = class_entropy(output.logits, batch.labels)
        return Loss(entropy, {"classes": entropy})


HEAD = MaanHead()
