"""BaS-Net: one classifier of snippets, trained by a base and a suppression branch.

Layers as in the authors' released code. Both branches share the classifier; the suppression branch
sees the features multiplied by the foreground weights of a filter.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.basnet.settings import recipe as find_recipe
from basnet_e2e.heads.basnet.two_branch import convolve, convolve_both
from basnet_e2e.heads.common.packing import Packing
from basnet_e2e.heads.common.pooling import at_least_float, real_rows, top_mean


class Output(NamedTuple):
    """Output for B videos of T rows; absent branches are None.

    N is C + 1 where the recipe has a background class (the last one), else C.

    Attributes:
        scores_base: ``[B, N]`` video-level scores of the base branch, a softmax.
        cas_base: ``[B, T, N]`` class activation sequence of the base branch.
        scores_supp: ``[B, N]`` of the suppression branch.
        cas_supp: ``[B, T, N]`` of the suppression branch.
        foreground: ``[B, T]`` foreground weights in [0, 1].
    """

    scores_base: Tensor | None
    cas_base: Tensor | None
    scores_supp: Tensor | None
    cas_supp: Tensor | None
    foreground: Tensor | None


class Filter(nn.Module):
    """Foreground weight of every row, from that row alone.

    The paper speaks of temporal convolutions; those of the released code have kernel 1, which are
    matrix products.
    """

    def __init__(self, features: int, hidden: int, slope: float) -> None:
        super().__init__()
        self.squeeze = nn.Conv1d(features, hidden, 1)
        self.decide = nn.Conv1d(hidden, 1, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Weights in [0, 1] of rows ``[B, T, F]``: ``[B, T]``."""
        hidden = F.linear(x, self.squeeze.weight[:, :, 0], self.squeeze.bias)
        hidden = F.leaky_relu(hidden, self.slope, inplace=True)
        logits = F.linear(hidden, self.decide.weight[:, :, 0], self.decide.bias)[:, :, 0]
        return torch.sigmoid(at_least_float(logits))


class BaSNet(nn.Module):
    """The network of one recipe.

    Args:
        features: width F of the feature rows.
        classes: number of action classes C, background not counted.
        hidden: channels of the two convolutions of the classifier.
        recipe: which branches there are: ``full``, ``suppression``, ``base`` or ``baseline``.
        filter_hidden: channels within the filter.
        dropout: share of hidden channels dropped in training.
        slope: LeakyReLU's slope below zero.
        ratio: a video's score is the mean of its ``max(1, rows // ratio)`` highest activations.

    Raises:
        BasnetError: the recipe is unknown.
    """

    def __init__(
        self,
        features: int = 2048,
        classes: int = 20,
        hidden: int = 2048,
        *,
        recipe: str = "full",
        filter_hidden: int = 512,
        dropout: float = 0.7,
        slope: float = 0.01,
        ratio: int = 8,
    ) -> None:
        super().__init__()
        self.recipe = find_recipe(recipe)
        self.features, self.classes, self.hidden = features, classes, hidden
        self.filter_hidden, self.dropout = filter_hidden, dropout
        self.slope, self.ratio = slope, ratio
        outputs = classes + self.recipe.background
        self.filter = Filter(features, filter_hidden, slope) if self.recipe.suppression else None
        self.conv_1 = nn.Conv1d(features, hidden, 3, padding=1)
        self.conv_2 = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.conv_3 = nn.Conv1d(hidden, outputs, 1, bias=False)

    def forward(self, x: Tensor, valid: Tensor | None = None, only: str | None = None) -> Output:
        """Both branches of B videos.

        Args:
            x: features ``[B, T, F]``.
            valid: which rows are real, the others are padding that changes and costs nothing: the
                number of real rows at the beginning of each video ``[B] int``, or a mask
                ``[B, T] bool``. Behind a video's last real row the output is 0.
            only: compute one branch, ``base`` or ``suppression``; default: both.

        Raises:
            BasnetError: the features have another width, or a video has no real row.
        """
        mask = self._mask(x, valid)
        packing = None if mask is None else Packing.of(mask)
        if packing is not None:
            x = packing.pack(x)
        base = self.recipe.base and only != "suppression"
        suppression = self.recipe.suppression and only != "base"
        foreground = self.filter(x) if suppression and self.filter is not None else None
        if foreground is not None and base:
            first = convolve_both(x, foreground, self.conv_1)
        elif foreground is not None:
            first = convolve(x * foreground[:, :, None].to(x.dtype), self.conv_1)
        else:
            first = convolve(x, self.conv_1)
        branches = first.shape[0] // x.shape[0]
        cas = self._classify(first, packing)
        if packing is not None:
            cas = packing.unpack(cas)
            if foreground is not None:
                foreground = packing.unpack(foreground[:, :, None])[:, :, 0]
        parts = list(at_least_float(cas).chunk(branches))
        cas_base = parts.pop(0) if base else None
        cas_supp = parts.pop(0) if suppression else None
        return Output(
            None if cas_base is None else self._scores(cas_base, mask),
            cas_base,
            None if cas_supp is None else self._scores(cas_supp, mask),
            cas_supp,
            foreground,
        )

    def _mask(self, x: Tensor, valid: Tensor | None) -> Tensor | None:
        if x.dim() != 3 or x.shape[2] != self.features or not x.shape[1]:
            raise BasnetError(
                f"the network reads rows [videos, snippets, {self.features}], not {list(x.shape)}"
            )
        if valid is None:
            return None
        if valid.dtype != torch.bool:
            valid = real_rows(x, valid.to(x.device))
        if not bool(valid.any(1).all()):
            raise BasnetError("a video of the batch has no row")
        return valid

    def _classify(self, first: Tensor, packing: Packing | None) -> Tensor:
        """Class activation sequence ``[B, T, N]`` from what the first convolution gives."""
        rows = F.leaky_relu(first, self.slope, inplace=True)
        if packing is not None:
            # Else the bias of empty rows would reach their neighbours through the next layer.
            rows = rows * packing.real
        rows = F.leaky_relu(convolve(rows, self.conv_2), self.slope, inplace=True)
        rows = F.dropout(rows, self.dropout, self.training)
        return F.linear(rows, self.conv_3.weight[:, :, 0])

    def _scores(self, cas: Tensor, mask: Tensor | None) -> Tensor:
        return torch.softmax(top_mean(cas, mask, self.ratio), dim=1)
