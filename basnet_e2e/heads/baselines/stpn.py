"""STPN: attention learnt by how well the attended mean of a video is classified (CVPR 2018).

Every stream has its own network; their losses are summed, which trains each as if alone, and their
intervals are pooled. Numbers of the preset ``official`` are those of a public
re-implementation. UNVERIFIED: that the attention is summed over the rows and averaged over the
videos of a batch, and that the streams' video scores are averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from basnet_e2e.heads.common.decoding_rules import (
    Curve,
    DecodingRules,
    Floats,
    Prediction,
    ThresholdedRuns,
    mean_inside,
)
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import as_array, at_least_float, real_rows
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings


@dataclass(frozen=True)
class AttentionSettings(Settings):
    """Network.

    Attributes:
        attention_hidden: width of the layer within the attention.
    """

    COUNTS = ("attention_hidden",)

    attention_hidden: int = 256


@dataclass(frozen=True)
class StpnSettings(AttentionSettings):
    """Network and loss.

    Attributes:
        sparsity: weight of the attention's L1 norm.
    """

    sparsity: float = 1e-4


class Output(NamedTuple):
    """Output of S streams for B videos.

    Attributes:
        logits: ``[S, B, C]`` of the video's class scores.
        attention: ``[S, B, T]`` in [0, 1]; 0 on padding.
        activation: ``[S, B, T, C]`` sigmoid of each row's class logits, without bias.
    """

    logits: Tensor
    attention: Tensor
    activation: Tensor


class Stream(nn.Module):
    """Attention and classifier of one stream."""

    def __init__(self, features: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(features, hidden)
        self.decide = nn.Linear(hidden, 1)
        self.classify = nn.Linear(features, classes)

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention ``[B, T]`` of rows ``[B, T, F]``, 0 on padding."""
        logits = self.decide(F.relu(self.squeeze(x)))[:, :, 0]
        return torch.where(mask, torch.sigmoid(at_least_float(logits)), 0)


class Stpn(nn.Module):
    """One network per stream; :meth:`weights` turns attention into the weights of the rows."""

    def __init__(self, shape: Shape, settings: AttentionSettings) -> None:
        super().__init__()
        hidden = settings.attention_hidden
        self.widths = shape.streams
        self.streams = nn.ModuleList(Stream(each, shape.classes, hidden) for each in self.widths)

    def weights(self, attention: Tensor, mask: Tensor) -> Tensor:
        """Weight of each row in the video's mean ``[B, T]``: attention over the number of rows."""
        return attention / mask.sum(1, keepdim=True)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Output:
        """All streams of videos ``[B, T, F]``, of which ``valid [B]`` rows are real."""
        mask = real_rows(x, valid)
        logits, attentions, activations = [], [], []
        for stream, part in zip(self.streams, x.split(self.widths, dim=2), strict=True):
            assert isinstance(stream, Stream)
            attention = stream.attend(part, mask)
            weights = self.weights(attention, mask).to(part.dtype)
            logits.append(stream.classify((weights[:, :, None] * part).sum(1)))
            rows = F.linear(part, stream.classify.weight)
            activations.append(torch.sigmoid(at_least_float(rows)))
            attentions.append(attention)
        scores = at_least_float(torch.stack(logits))
        return Output(scores, torch.stack(attentions), torch.stack(activations))


def curves(prediction: Prediction, index: int, decoding: DecodingSettings) -> Sequence[Curve]:
    """Attention times activation of each stream, scored on activations averaged over streams."""
    attention, activation = (
        prediction.extra["attention"],
        prediction.extra["activation"][:, :, index],
    )
    mixed = activation.mean(axis=1)
    return [
        Curve(attention[:, each] * activation[:, each], attention[:, each] * mixed)
        for each in range(attention.shape[1])
    ]


def score(runs: ThresholdedRuns, decoding: DecodingSettings) -> Floats:
    """Mean of the curve within a segment."""
    return mean_inside(runs.scored, runs.first, runs.stop)


OFFICIAL_TRAINING = TrainingSettings(
    segments=400,  # one drawn from each of 400 equal parts
    length="repeat",
    steps=23000,
    batch=6,
    rate=1e-4,
    weight_decay=0.0,
)
DECODING = DecodingSettings(
    theta_class=0.1, theta_act=(0.05,), upsample=24, nms_iou=0.5, normalise="none", shortest=1
)


def attention_presets(
    head: str, own: Settings, *, small_rate: float, weight_decay: float
) -> dict[str, Preset]:
    """``official``; ``default`` with all rows of each video; ``small`` for CPUs.

    Steps, batch, rate and weight decay of the latter two are this project's.
    """
    brief = TrainingSettings(steps=1500, batch=16, rate=1e-3, weight_decay=weight_decay)
    small = TrainingSettings(steps=300, batch=16, rate=small_rate, weight_decay=weight_decay)
    return {
        "official": Preset("official", head, own, OFFICIAL_TRAINING, DECODING),
        "default": Preset("default", head, own, brief, DECODING),
        "small": Preset("small", head, own, small, DECODING),
    }


class StpnHead(Head[Stpn]):
    """Sparse temporal pooling: attention-weighted mean, classified, attention kept sparse."""

    name = "stpn"
    network_class = Stpn
    own: type[AttentionSettings] = StpnSettings
    presets = attention_presets("stpn", StpnSettings(), small_rate=5e-3, weight_decay=0.0)
    rules = DecodingRules(curves=curves, score=score)

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Binary cross-entropy of each class and the attention's norm, summed over streams."""
        batch.check_finite(output.logits)
        entropy = class_entropy(output.logits, batch.labels)
        sparsity = output.attention.sum(2).mean(1).sum()
        total = entropy + preset.own_as(StpnSettings).sparsity * sparsity
        return Loss(total, {"classes": entropy, "sparsity": sparsity})

    def predict(self, net: Stpn, x: Tensor, preset: Preset) -> Prediction:
        """Attention and activation of each stream."""
        output: Output = net(x[None])
        attention = as_array(output.attention[:, 0].t())
        activation = as_array(output.activation[:, 0].transpose(0, 1))
        return Prediction(
            (attention[:, :, None] * activation).mean(1),
            as_array(torch.sigmoid(output.logits[:, 0]).mean(0)),
            attention.mean(1),
            {"attention": attention, "activation": activation},
        )


def class_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy ``[S, B, C]``, mean over classes and videos, summed over streams."""
    targets = labels.expand_as(logits)
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return each.mean((1, 2)).sum()


HEAD = StpnHead()
