"""AutoLoc: borders regressed so that activation inside is high and around is low (ECCV 2018).

A run has two phases: UntrimmedNet's layers learn the classes, then they are frozen and a regressor
learns borders on their activation, as many steps as ``regress_steps``. Numbers of the preset
``official`` are those of the released code, but for one: its released setting ``OIC_ANC_OPT: ref``
weights anchors by a Gaussian that is fitted to the lengths of the test videos' annotated actions.
That leaks test data, so it is left out; anchors count alike (``org``), which lowers the figures.
UNVERIFIED: that the regressor reads the features, that the activation is the softmax of each row
averaged over streams, and the classifier's schedule within a common run (all rows are shots).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from basnet_e2e.heads.baselines import untrimmednet as unt
from basnet_e2e.heads.common.decoding_rules import (
    DecodingRules,
    Floats,
    Ints,
    Prediction,
    Proposals,
)
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.packing import Packing
from basnet_e2e.heads.common.pooling import as_array, at_least_float
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, TrainingSettings
from basnet_e2e.heads.common.suppression import non_maximum_suppression

ANCHORS = (1, 2, 4, 8, 16, 32)
ACTIVE = 0.1  # rows less active have no proposal
WORST = 0.7  # loss of proposals that count
SLOPE = 0.1
RING = 0.25  # width of the outer ring on each side, as a share of the interval; at least a row
SHORTEST = 1e-3  # rows; a shorter interval is empty


@dataclass(frozen=True)
class AutoLocSettings(unt.UntrimmedSettings):
    """The classifier's settings and the regressor's.

    Attributes:
        hidden: channels of the regressor's three convolutions.
        regress_steps: steps of the second phase, the last of the run.
        regress_rate: its learning rate; it falls to a tenth after half of them.
    """

    COUNTS = ("hidden", "regress_steps", "shots", "shot_rows")

    hidden: int = 128
    regress_steps: int = 200
    regress_rate: float = 0.001


class Regressor(nn.Module):
    """Centre and width of one interval for each row and anchor."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        widths = (features, hidden, hidden)
        self.convolve = nn.ModuleList(
            nn.Conv1d(each, hidden, 3, padding=1, bias=False) for each in widths
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in widths)
        self.decide = nn.Conv1d(hidden, 2 * len(ANCHORS), 1)
        nn.init.normal_(self.decide.weight, std=0.01)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Starts and ends ``[B, T, anchors]`` in rows, of ``[B, T, F]``."""
        packing = Packing.of(mask)
        rows = packing.pack(x).transpose(1, 2)
        for convolve, norm in zip(self.convolve, self.norms, strict=True):
            rows = F.leaky_relu(norm(convolve(rows)), SLOPE) * packing.real.transpose(1, 2)
        moves = packing.unpack(at_least_float(self.decide(rows)).transpose(1, 2))
        anchors = moves.new_tensor(ANCHORS)
        place = torch.arange(x.shape[1], device=x.device)[None, :, None] + 0.5
        shift, stretch = moves.chunk(2, dim=2)
        centre, width = place + shift * anchors, stretch.exp() * anchors
        return centre - width / 2, centre + width / 2


class AutoLoc(nn.Module):
    """A classifier and a regressor side by side."""

    def __init__(self, shape: Shape, settings: AutoLocSettings) -> None:
        super().__init__()
        self.classifier = unt.UntrimmedNet(shape, settings)
        self.regressor = Regressor(shape.features, settings.hidden)


class Borders(NamedTuple):
    """Output of the second phase.

    Attributes:
        cas: activation ``[B, T, C]``.
        start: ``[B, T, anchors]`` rows.
        end: likewise.
        counts: real rows of each video.
    """

    cas: Tensor
    start: Tensor
    end: Tensor
    counts: list[int]


def integral(curve: Tensor) -> Tensor:
    """Sums of a curve ``[T]`` up to each edge between rows ``[T + 1]``."""
    return torch.cat([curve.new_zeros(1), curve.cumsum(0)])


def integral_at(sums: Tensor, places: Tensor) -> Tensor:
    """The integral at any places in [0, T], linear between edges and so differentiable."""
    low = places.detach().floor().long().clamp(0, len(sums) - 2)
    return sums[low] + (places - low) * (sums[low + 1] - sums[low])


def outer_inner_loss(curve: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """``(mean of the outer ring - mean inside + 1) / 2`` of intervals.

    Args:
        curve: activation of one class ``[T]`` in [0, 1]; row i covers i to i + 1.
        start: rows and their fractions ``[...]``; intervals are clipped to the video.
        end: likewise.

    Returns:
        ``[...]`` in [0, 1]; 1 for empty intervals.
    """
    rows = len(curve)
    ring = (RING * (end - start)).clamp(min=1)
    low, high = (start - ring).clamp(0, rows), (end + ring).clamp(0, rows)
    start, end = start.clamp(0, rows), end.clamp(0, rows)
    sums = integral(curve)
    before, first, last, behind = (integral_at(sums, each) for each in (low, start, end, high))
    width = end - start
    inside = (last - first) / width.clamp(min=SHORTEST)
    around = (high - low) - width
    outside = (behind - before - (last - first)) / around.clamp(min=SHORTEST)
    return torch.where(width > SHORTEST, (outside - inside + 1) / 2, 1.0)


def best_anchors(curve: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The intervals of one class that count: the best of each active row, suppressed.

    Args:
        curve: activation ``[T]``.
        start: ``[T, anchors]`` rows.
        end: likewise.

    Returns:
        Starts, ends and losses ``[P]``, best first.
    """
    losses = outer_inner_loss(curve, start, end)
    least, anchor = losses.min(1)
    rows = torch.nonzero((curve > ACTIVE) & (least < WORST))[:, 0]
    chosen = anchor[rows]
    first, last, least = start[rows, chosen], end[rows, chosen], least[rows]
    kept = non_maximum_suppression(as_array(first), as_array(last), 1 - as_array(least), 0.4)
    index = torch.from_numpy(kept).to(curve.device)
    return first[index], last[index], least[index]


def border_loss(output: Borders, labels: Tensor) -> Tensor:
    """Mean outer-inner loss of what counts in all videos, for the classes they have."""
    losses = [
        best_anchors(
            output.cas[each, :rows, j], output.start[each, :rows], output.end[each, :rows]
        )[2]
        for each, rows in enumerate(output.counts)
        for j in torch.nonzero(labels[each])[:, 0]
    ]
    together = torch.cat(losses) if losses else output.start.new_zeros(0)
    return together.mean() if len(together) else (output.start * 0).sum()


def two_best(scores: Floats, decoding: DecodingSettings) -> Ints:
    """The two classes that are most active on average."""
    return np.sort(np.argsort(-scores, kind="stable")[:2])


_OFFICIAL = Preset(
    "official",
    "autoloc",
    AutoLocSettings(),
    TrainingSettings(steps=20200, batch=16, rate=0.001, weight_decay=5e-4),
    DecodingSettings(nms_iou=0.4, normalise="none"),
)


class AutoLocHead(Head[AutoLoc]):
    """Outer-inner-contrastive regression on a frozen classifier."""

    name = "autoloc"
    network_class = AutoLoc
    has_background = False
    background = "attention below half of its greatest"
    may_stop = False
    own = AutoLocSettings
    # Batch of all, and steps and rates of the latter two, are this project's.
    presets = {  # noqa: RUF012
        "official": _OFFICIAL,
        "default": _OFFICIAL.named(
            "default", steps=1700, rate=0.01, flow_rate=0.05, regress_rate=0.01
        ),
        "small": _OFFICIAL.named(
            "small", steps=700, rate=0.02, flow_rate=0.05, regress_steps=100, regress_rate=0.01
        ),
    }
    rules = DecodingRules(classes=two_best)

    def optimizer(self, net: AutoLoc, preset: Preset) -> torch.optim.Optimizer:
        """SGD: a group per stream of the classifier, and one for the regressor."""
        optimizer = unt.HEAD.optimizer(net.classifier, preset)
        optimizer.add_param_group({"params": list(net.regressor.parameters()), "momentum": 0.0})
        return optimizer

    def before_step(
        self, net: AutoLoc, optimizer: torch.optim.Optimizer, step: int, preset: Preset
    ) -> None:
        """Freeze what this phase does not train, and set the rates."""
        own = preset.own_as(AutoLocSettings)
        first = classifier_steps(preset)
        regressing = step >= first
        net.classifier.requires_grad_(not regressing)
        net.regressor.requires_grad_(regressing)
        if regressing:
            net.classifier.eval()  # no dropout: its activation is what is regressed on
        rates = unt.stream_rates(preset.training.rate, own.flow_rate, step / max(first, 1))
        late = step - first >= (preset.training.steps - first) / 2
        for group, rate in zip(optimizer.param_groups[:-1], rates, strict=False):
            group["lr"] = rate
        optimizer.param_groups[-1]["lr"] = own.regress_rate * (0.1 if late else 1)

    def forward(self, net: AutoLoc, batch: Batch, preset: Preset) -> unt.Output | Borders:
        """The classifier's output in the first phase, then activation and borders."""
        output: unt.Output = net.classifier(batch.x, batch.valid)
        if batch.step < classifier_steps(preset):
            return output
        start, end = net.regressor(batch.x, output.mask)
        return Borders(activation(output), start, end, output.mask.sum(1).tolist())

    def loss(self, output: unt.Output | Borders, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of the selected rows' mean, then the outer-inner loss."""
        if isinstance(output, unt.Output):
            batch.check_finite(output.logits, output.attention)
            classes = unt.selection_loss(output, batch.labels)
            return Loss(classes, {"classes": classes})
        batch.check_finite(output.start, output.end)
        borders = border_loss(output, batch.labels)
        return Loss(borders, {"borders": borders})

    def predict(self, net: AutoLoc, x: Tensor, preset: Preset) -> Prediction:
        """Intervals of every class, scored by 1 minus their loss."""
        output: unt.Output = net.classifier(x[None])
        start, end = net.regressor(x[None], output.mask)
        cas = activation(output)[0]
        found = {}
        for j in range(cas.shape[1]):
            first, last, losses = map(as_array, best_anchors(cas[:, j], start[0], end[0]))
            if len(losses):
                found[j] = Proposals(first, last, 1 - losses)
        raw = as_array(cas)
        return Prediction(raw, raw.mean(axis=0), unt.relative_attention(output), proposals=found)


def classifier_steps(preset: Preset) -> int:
    """Steps of the first phase."""
    own = preset.own_as(AutoLocSettings)
    return max(1, preset.training.steps - own.regress_steps)


def activation(output: unt.Output) -> Tensor:
    """Softmax of each row, averaged over streams ``[B, T, C]``."""
    return torch.softmax(output.logits, dim=3).mean(0)


HEAD = AutoLocHead()
