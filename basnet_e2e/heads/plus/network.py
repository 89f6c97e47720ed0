"""Plus: classifiers of rows with BaS-Net's two branches, and their loss."""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.head import Loss, Shape
from basnet_e2e.heads.common.pca import Projection
from basnet_e2e.heads.common.pooling import (
    at_least_float,
    label_entropy,
    real_rows,
    top_mean,
    with_background,
)
from basnet_e2e.heads.common.settings import Settings, added


@dataclass(frozen=True)
class PlusSettings(Settings):
    """Network and loss.

    Attributes:
        components: principal axes of the features that are kept.
        networks: small networks that see the same batches and whose mean is taken; they differ by
            initial weights and dropout.
        hidden: width of the layer before the classifier.
        attention_hidden: width of the layer within the foreground weights.
        dropout: share of hidden channels dropped before the classifier.
        ratio: a video's score is the mean of its ``max(1, rows // ratio)`` highest activations.
        suppression_weight: of the branch whose activation is multiplied by the foreground weights
            and whose target for background is 0.
        norm: weight of the mean foreground weight of a video.
        centred: share of the networks that see rows less their mean over the video: what changes in
            it and not its scene. They need intervals to learn from.
    """

    COUNTS = ("components", "networks", "hidden", "attention_hidden", "ratio")

    components: int = 256
    networks: int = 5
    hidden: int = 256
    attention_hidden: int = 128
    dropout: float = 0.7
    ratio: int = 4
    suppression_weight: float = 1.0
    norm: float = 0.05
    centred: float = added(0.0, older=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise BasnetError(f"setting dropout is within [0, 1), not {self.dropout}")
        if not 0 <= self.centred <= 1:
            raise BasnetError(f"setting centred is within [0, 1], not {self.centred}")


class Output(NamedTuple):
    """Output of M networks for B videos of T rows; the last of N = C + 1 classes is background.

    Attributes:
        cas: ``[M, B, T, N]`` activation, as the base branch sees it.
        foreground: ``[M, B, T]`` foreground weights in [0, 1]; 0 on padding.
        mask: real rows ``[B, T] bool``.
    """

    cas: Tensor
    foreground: Tensor
    mask: Tensor


class RowNet(nn.Module):
    """One network: each row by itself, so that no convolution smears a border.

    Args:
        width: of the rows.
        classes: C.
        settings: layers and dropout.
    """

    def __init__(self, width: int, classes: int, settings: PlusSettings) -> None:
        super().__init__()
        self.embed = nn.Linear(width, settings.hidden)
        self.classify = nn.Linear(settings.hidden, classes + 1)
        self.squeeze = nn.Linear(width, settings.attention_hidden)
        self.decide = nn.Linear(settings.attention_hidden, 1)
        self.dropout = settings.dropout

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Activation ``[B, T, C + 1]`` and foreground weights ``[B, T]`` of rows ``[B, T, K]``."""
        hidden = F.dropout(F.relu(self.embed(rows)), self.dropout, self.training)
        logits = self.decide(F.relu(self.squeeze(rows)))[:, :, 0]
        return at_least_float(self.classify(hidden)), torch.sigmoid(at_least_float(logits))


class PlusNet(nn.Module):
    """Several small networks on the principal axes of the features."""

    def __init__(self, shape: Shape, settings: PlusSettings) -> None:
        super().__init__()
        self.project = Projection(shape.features, settings.components)
        self.networks = nn.ModuleList(
            RowNet(self.project.width, shape.classes, settings) for _ in range(settings.networks)
        )
        self.centred = round(settings.centred * settings.networks)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Output:
        """Videos ``[B, T, F]``, of which ``valid [B]`` rows are real."""
        mask = real_rows(x, valid)
        rows = self.project(x)
        inputs = [rows] * len(self.networks)
        if self.centred:
            inputs[: self.centred] = [_less_mean(rows, mask)] * self.centred
        outputs = [network(each) for network, each in zip(self.networks, inputs, strict=True)]
        cas, weights = zip(*outputs, strict=True)
        return Output(torch.stack(cas), torch.where(mask, torch.stack(weights), 0), mask)

    def alone(self, index: int) -> "PlusNet":
        """One of the networks, with the same weights."""
        single = copy.deepcopy(self)
        single.networks = nn.ModuleList([single.networks[index]])
        single.centred = int(index < self.centred)
        return single


def _less_mean(rows: Tensor, mask: Tensor) -> Tensor:
    """Rows ``[B, T, K]`` less the mean of the real ones of their video."""
    real = mask[..., None].to(rows)
    return rows - (rows * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)


def plus_loss(output: Output, labels: Tensor, settings: PlusSettings) -> Loss:
    """BaS-Net's two opposite targets as cross-entropies of a softmax, and the foreground's norm.

    The base branch's target for background is 1 in every video, the suppression branch's 0. The
    suppression branch skips videos without labels.

    Args:
        output: of the network.
        labels: multi-hot ``[B, C]``.
        settings: ``ratio`` and the weights of the terms.
    """
    suppressed = output.cas * output.foreground[..., None]
    base = _cross_entropy(output.cas, output.mask, with_background(labels, 1.0), settings.ratio)
    supp = _cross_entropy(suppressed, output.mask, with_background(labels, 0.0), settings.ratio)
    norm = (output.foreground.sum(2) / output.mask.sum(1)).mean()
    total = base + settings.suppression_weight * supp + settings.norm * norm
    return Loss(total, {"base": base, "suppression": supp, "norm": norm})


def _cross_entropy(cas: Tensor, mask: Tensor, targets: Tensor, ratio: int) -> Tensor:
    """``-sum_c ybar_c log p_c`` of the pooled activation ``[M, B, T, N]``.

    Mean over the networks and the videos with a target.
    """
    by_network = [
        label_entropy(torch.log_softmax(top_mean(each, mask, ratio), dim=1), targets)
        for each in cas
    ]
    return torch.stack(by_network).mean()
