"""UntrimmedNet, soft selection: a video is the attention-weighted mean of its shots (CVPR 2017).

Every stream has its own network, rate and schedule: the first is taken for rgb, the second for flow
(a single stream trains as rgb). Numbers of the preset ``official`` are
those of the released code. UNVERIFIED: that shots are equal parts of the video, that rates fall to
a tenth, and that the streams' video scores are averaged. What counts as background, below half of
the greatest attention, is this project's own rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.data.features.sampling import stratified_rows
from basnet_e2e.heads.common.decoding_rules import (
    Curve,
    DecodingRules,
    Floats,
    Ints,
    Prediction,
    ThresholdedRuns,
    mean_inside,
    runs_of,
)
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import (
    as_array,
    at_least_float,
    label_entropy,
    real_rows,
    softmax_rows,
)
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings

# Of each stream: shares of the run after which its rate falls to a tenth, and where it ends.
SCHEDULES = (((6 / 20,), 15 / 20), ((8 / 20, 16 / 20), 1.0))
TEMPERATURE = 3.0  # of the attention at inference


@dataclass(frozen=True)
class UntrimmedSettings(Settings):
    """Network and training.

    Attributes:
        dropout: share of the features dropped.
        shots: drawn from a training video.
        shot_rows: rows that are averaged for a shot.
        flow_rate: learning rate of the second stream; ``rate`` is the first's.
        momentum: of the optimiser.
    """

    COUNTS: ClassVar[tuple[str, ...]] = ("shots", "shot_rows")

    dropout: float = 0.8
    shots: int = 7
    shot_rows: int = 3
    flow_rate: float = 0.005
    momentum: float = 0.9


class Output(NamedTuple):
    """Output of S streams for B videos of n shots (rows at inference).

    Attributes:
        logits: ``[S, B, n, C]``.
        attention: ``[S, B, n]``, before its softmax.
        mask: real ones ``[B, n] bool``.
    """

    logits: Tensor
    attention: Tensor
    mask: Tensor


class Stream(nn.Module):
    """Classifier and attention of one stream."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Linear(features, classes)
        self.attend = nn.Linear(features, 1)


class UntrimmedNet(nn.Module):
    """Two linear layers per stream."""

    def __init__(self, shape: Shape, settings: UntrimmedSettings) -> None:
        super().__init__()
        self.widths, self.dropout = shape.streams, settings.dropout
        self.streams = nn.ModuleList(Stream(width, shape.classes) for width in self.widths)

    def forward(self, x: Tensor, valid: Tensor | None = None, shot_rows: int = 1) -> Output:
        """All streams of videos ``[B, T, F]``; every ``shot_rows`` rows are averaged."""
        mask = real_rows(x, valid)[:, ::shot_rows]
        logits, attentions = [], []
        for stream, part in zip(self.streams, x.split(self.widths, dim=2), strict=True):
            assert isinstance(stream, Stream)
            rows = F.dropout(part, self.dropout, self.training)
            # Layers are linear: the mean of the rows gives the mean of their outputs.
            shots = rows.unflatten(1, (-1, shot_rows)).mean(2)
            logits.append(at_least_float(stream.classify(shots)))
            attentions.append(at_least_float(stream.attend(shots))[:, :, 0])
        return Output(torch.stack(logits), torch.stack(attentions), mask)


def selection_loss(output: Output, labels: Tensor) -> Tensor:
    """``-sum ybar log p`` of each stream, p the attention-weighted mean of the shots' softmax."""
    total = output.logits.new_zeros(())
    for logits, attention in zip(output.logits, output.attention, strict=True):
        shares = softmax_rows(attention, output.mask)
        scores = (shares[:, :, None] * torch.softmax(logits, dim=2)).sum(1)
        tiny = torch.finfo(scores.dtype).tiny
        total = total + label_entropy(torch.log(scores.clamp(min=tiny)), labels)
    return total


def video_scores(output: Output) -> Tensor:
    """Video scores ``[S, B, C]``: softmax of the logits, summed with softened attention."""
    shares = torch.stack(
        [softmax_rows(each / TEMPERATURE, output.mask) for each in output.attention]
    )
    return torch.softmax((shares[..., None] * output.logits).sum(2), dim=2)


def relative_attention(output: Output) -> Floats:
    """Attention of one video's rows as a share of its greatest ``[n]``, averaged over streams."""
    greatest = output.attention.amax(2, keepdim=True)
    return as_array((output.attention - greatest).exp()[:, 0].mean(0))


def curves(prediction: Prediction, index: int, decoding: DecodingSettings) -> Sequence[Curve]:
    """Mean of each row and the next; the last as it is."""
    curve = prediction.cas[:, index].copy()
    curve[:-1] = (curve[:-1] + curve[1:]) / 2
    return [Curve(curve)]


def half_of_maximum(values: Floats, decoding: DecodingSettings) -> list[float]:
    """One threshold."""
    return [float(values.max()) / 2]


def dilated(values: Floats, threshold: float, decoding: DecodingSettings) -> tuple[Ints, Ints]:
    """Runs above the threshold, with one row more on each side."""
    above = np.pad(values > threshold, 2)
    above[1:-1] |= above[2:] | above[:-2]
    return runs_of(above[2:-2])


def score(runs: ThresholdedRuns, decoding: DecodingSettings) -> Floats:
    """Mean within each run and a share of the video's score."""
    return mean_inside(runs.scored, runs.first, runs.stop) + decoding.gamma * runs.class_score


_OFFICIAL = Preset(
    "official",
    "untrimmednet",
    UntrimmedSettings(),
    TrainingSettings(steps=20000, batch=16, rate=0.001, weight_decay=5e-4),
    # A single threshold, so nothing overlaps and nothing is suppressed.
    DecodingSettings(
        theta_class=0.1, upsample=1, shortest=1, gamma=0.2, normalise="none", nms_iou=1.0
    ),
)


class UntrimmedNetHead(Head[UntrimmedNet]):
    """Soft selection of shots."""

    name = "untrimmednet"
    network_class = UntrimmedNet
    has_background = False
    background = "attention below half of its greatest"
    own: type[Settings] = UntrimmedSettings
    # Batch of all, and steps and rates of the latter two, are this project's.
    presets = {  # noqa: RUF012
        "official": _OFFICIAL,
        "default": _OFFICIAL.named("default", steps=3000, rate=0.01, flow_rate=0.05),
        "small": _OFFICIAL.named("small", steps=600, rate=0.05, flow_rate=0.05),
    }
    rules = DecodingRules(curves=curves, thresholds=half_of_maximum, runs=dilated, score=score)

    def sample(
        self, x: NDArray[np.float32], preset: Preset, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The rows of all shots in order; a shot's rows come from one part of the video."""
        own = preset.own_as(UntrimmedSettings)
        return x[stratified_rows(len(x), own.shots * own.shot_rows, rng)]

    def forward(self, net: UntrimmedNet, batch: Batch, preset: Preset) -> Output:
        """Output of all streams for the shots."""
        output: Output = net(batch.x, batch.valid, preset.own_as(UntrimmedSettings).shot_rows)
        return output

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of the selected shots' mean."""
        batch.check_finite(output.logits, output.attention)
        classes = selection_loss(output, batch.labels)
        return Loss(classes, {"classes": classes})

    def optimizer(self, net: UntrimmedNet, preset: Preset) -> torch.optim.Optimizer:
        """SGD with a group per stream, whose rates are set before each step."""
        return torch.optim.SGD(
            [{"params": list(stream.parameters())} for stream in net.streams],
            lr=preset.training.rate,
            momentum=preset.own_as(UntrimmedSettings).momentum,
            weight_decay=preset.training.weight_decay,
        )

    def before_step(
        self, net: UntrimmedNet, optimizer: torch.optim.Optimizer, step: int, preset: Preset
    ) -> None:
        """Each stream's rate by its schedule."""
        flow_rate = preset.own_as(UntrimmedSettings).flow_rate
        done = step / preset.training.steps
        rates = stream_rates(preset.training.rate, flow_rate, done)
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate

    def predict(self, net: UntrimmedNet, x: Tensor, preset: Preset) -> Prediction:
        """Softmax of each row, averaged over streams, and attention relative to its maximum."""
        output: Output = net(x[None])
        return Prediction(
            as_array(torch.softmax(output.logits[:, 0], dim=2).mean(0)),
            as_array(video_scores(output)[:, 0].mean(0)),
            relative_attention(output),
        )


def stream_rates(rate: float, flow_rate: float, done: float) -> list[float]:
    """Rates of both streams after a share ``done`` of the run; 0 when a stream has ended."""
    return [
        0.0 if done >= end else first * 0.1 ** sum(done >= fall for fall in falls)
        for first, (falls, end) in zip((rate, flow_rate), SCHEDULES, strict=True)
    ]


HEAD = UntrimmedNetHead()
