"""Hide-and-Seek: a classifier that must do without parts of the video (ICCV 2017).

UNVERIFIED throughout: only code for images was released. From memory of the paper: each segment of
a grid is hidden with probability .5, replaced by the data set's mean feature; two kernel-1
convolutions of 500; the maximum over time; softmax; the class activation cut at half its maximum.
This project's own choice: the rows of a segment, the optimiser, and how intervals are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.heads.common.decoding_rules import Curve, DecodingRules, Prediction
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import as_array, at_least_float, label_entropy, real_rows
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings


@dataclass(frozen=True)
class HideSettings(Settings):
    """Network and loss.

    Attributes:
        hidden: channels of both convolutions.
        segment_rows: rows of a segment of the grid.
        hide: probability that a segment is hidden.
    """

    COUNTS = ("hidden", "segment_rows")

    hidden: int = 500
    segment_rows: int = 4
    hide: float = 0.5


class Output(NamedTuple):
    """Output for B videos: ``logits [B, C]``, and activation ``cas [B, T, C]``."""

    logits: Tensor
    cas: Tensor


class HideAndSeek(nn.Module):
    """Two convolutions of kernel 1, the maximum over time, a classifier."""

    mean: Tensor

    def __init__(self, shape: Shape, settings: HideSettings) -> None:
        super().__init__()
        self.first = nn.Linear(shape.features, settings.hidden)
        self.second = nn.Linear(settings.hidden, settings.hidden)
        self.classify = nn.Linear(settings.hidden, shape.classes)
        self.segment_rows, self.hide = settings.segment_rows, settings.hide
        self.register_buffer("mean", torch.zeros(shape.features))

    def hidden_rows(self, x: Tensor) -> Tensor:
        """Rows to hide ``[B, T] bool``, random whole segments."""
        segments = -(-x.shape[1] // self.segment_rows)
        drawn = torch.rand(len(x), segments, device=x.device) < self.hide
        return drawn.repeat_interleave(self.segment_rows, dim=1)[:, : x.shape[1]]

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Output:
        """Videos ``[B, T, F]``, of which ``valid [B]`` rows are real."""
        mask = real_rows(x, valid)
        if self.training:
            x = torch.where(self.hidden_rows(x)[:, :, None], self.mean.to(x.dtype), x)
        rows = F.relu(self.second(F.relu(self.first(x))))
        highest = rows.masked_fill(~mask[:, :, None], 0).amax(1)  # rows are not negative
        cas = F.linear(rows, self.classify.weight)
        return Output(at_least_float(self.classify(highest)), at_least_float(cas))


def curves(prediction: Prediction, index: int, decoding: DecodingSettings) -> Sequence[Curve]:
    """The class's activation as a share of its maximum."""
    positive = np.maximum(prediction.cas[:, index], 0)
    return [Curve(positive / max(positive.max(), 1e-12))]


_OFFICIAL = Preset(
    "official",
    "hide-and-seek",
    HideSettings(),
    TrainingSettings(steps=5000, batch=16, rate=1e-4, weight_decay=5e-4),
    DecodingSettings(theta_class=0.1, theta_act=(0.5,)),
)


class HideAndSeekHead(Head[HideAndSeek]):
    """A classifier trained on videos with random parts hidden."""

    name = "hide-and-seek"
    network_class = HideAndSeek
    has_background = False
    background = "no class more active than .1"
    own = HideSettings
    presets = {  # noqa: RUF012
        "official": _OFFICIAL,
        "default": _OFFICIAL.named("default", steps=1500, rate=3e-4),
        "small": _OFFICIAL.named("small", steps=300, rate=1e-3),
    }
    rules = DecodingRules(curves=curves)

    def prepare(self, net: HideAndSeek, data: LabelledSet, preset: Preset) -> None:
        """Measure the mean row of the training videos."""
        rows = sum(len(video.x) for video in data.videos)
        total = sum(np.asarray(video.x, np.float64).sum(axis=0) for video in data.videos)
        net.mean.copy_(torch.from_numpy(np.asarray(total / rows)))

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of the softmax over classes."""
        batch.check_finite(output.logits)
        classes = label_entropy(torch.log_softmax(output.logits, dim=1), batch.labels)
        return Loss(classes, {"classes": classes})

    def predict(self, net: HideAndSeek, x: Tensor, preset: Preset) -> Prediction:
        """Class activation of each row, without bias."""
        output: Output = net(x[None])
        return Prediction(as_array(output.cas[0]), as_array(torch.softmax(output.logits[0], dim=0)))


HEAD = HideAndSeekHead()
