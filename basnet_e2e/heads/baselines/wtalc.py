"""W-TALC: top-k classification, and pairs of videos whose shared class looks alike (ECCV 2018).

Numbers of the preset ``official`` are those of the released code. UNVERIFIED: that longer videos
are sampled evenly (here one row from each of equal parts).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.heads.common.decoding_rules import (
    DecodingRules,
    Floats,
    Ints,
    Prediction,
    ThresholdedRuns,
    runs_of,
)
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import (
    as_array,
    at_least_float,
    label_entropy,
    real_rows,
    softmax_rows,
    top_mean,
)
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings


@dataclass(frozen=True)
class WtalcSettings(Settings):
    """Network and loss.

    Attributes:
        hidden: width of the layer before the classifier.
        dropout: share of its channels dropped.
        ratio: a video's score is the mean of its ``ceil(rows / ratio)`` highest activations.
        pairs: pairs of a batch that share a class.
        margin: by which a pair's actions must be closer to each other than to background.
        co_activity: weight of that loss, in a total of 1 with the classification.
    """

    COUNTS = ("hidden", "ratio")

    hidden: int = 2048
    dropout: float = 0.7
    ratio: int = 8
    pairs: int = 3
    margin: float = 0.5
    co_activity: float = 0.5


class Output(NamedTuple):
    """Output for B videos of T rows.

    Attributes:
        embedded: ``[B, T, H]`` rows that the classifier sees.
        cas: ``[B, T, C]``; no background class.
        scores: ``[B, C]`` mean of the highest activations.
        mask: real rows ``[B, T] bool``.
    """

    embedded: Tensor
    cas: Tensor
    scores: Tensor
    mask: Tensor


class Wtalc(nn.Module):
    """A hidden layer and a classifier of rows."""

    def __init__(self, shape: Shape, settings: WtalcSettings) -> None:
        super().__init__()
        self.embed = nn.Linear(shape.features, settings.hidden)
        self.classify = nn.Linear(settings.hidden, shape.classes)
        self.dropout, self.ratio = settings.dropout, settings.ratio
        for layer in (self.embed, self.classify):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Output:
        """Videos ``[B, T, F]``, of which ``valid [B]`` rows are real."""
        mask = real_rows(x, valid)
        embedded = F.dropout(F.relu(self.embed(x)), self.dropout, self.training)
        cas = at_least_float(self.classify(embedded))
        return Output(at_least_float(embedded), cas, top_mean(cas, mask, self.ratio, up=True), mask)


def choose_pairs(
    labels: NDArray[np.float32], step: int, seed: int, batch: int, pairs: int
) -> list[int]:
    """Videos of one step: first pairs that share a class, then any others.

    Args:
        labels: multi-hot ``[videos, C]``.
        step: counted from 0.
        seed: of the run.
        batch: number of videos; fewer if there are not enough.
        pairs: number of pairs among them; none of a class that only one video has.
    """
    rng = np.random.default_rng([seed, 2, step])
    free = np.ones(len(labels), bool)
    chosen: list[int] = []
    for _ in range(min(pairs, batch // 2)):
        shared = np.flatnonzero(labels[free].sum(0) >= 2)
        if not len(shared):
            break
        having = np.flatnonzero(free & (labels[:, rng.choice(shared)] > 0))
        pair = rng.choice(having, 2, replace=False)
        free[pair] = False
        chosen += pair.tolist()
    others = rng.permutation(np.flatnonzero(free))
    return chosen + [int(each) for each in others[: max(0, batch - len(chosen))]]


def co_activity(
    x: Tensor, cas: Tensor, mask: Tensor, labels: Tensor, pairs: int, margin: float
) -> Tensor:
    """Distance between the actions of videos that share a class, relative to background.

    With ``a = softmax_t(CAS_j)``, ``H = X^T a``, ``L = X^T (1 - a) / (T - 1)`` of both videos and
    d = 1 - cosine, a pair's loss for class j is half of ``max(0, d(H1, H2) - d(H1, L2) + margin)
    + max(0, d(H1, H2) - d(H2, L1) + margin)``.

    Args:
        x: rows that the classifier sees ``[B, T, H]``.
        cas: ``[B, T, C]``.
        mask: real rows ``[B, T] bool``.
        labels: multi-hot ``[B, C]``.
        pairs: the first ``2 * pairs`` videos are pairs; those without a shared class do not count.
        margin: see above.

    Returns:
        Mean over pairs and their shared classes; 0 if there are none.
    """
    count = 2 * min(pairs, len(x) // 2)
    terms = []
    for first in range(0, count, 2):
        for j in torch.nonzero(labels[first] * labels[first + 1])[:, 0]:
            (high_1, low_1), (high_2, low_2) = (
                _high_and_low(x[each], cas[each, :, j], mask[each]) for each in (first, first + 1)
            )
            apart = _distance(high_1, high_2)
            terms.append(F.relu(apart - _distance(high_1, low_2) + margin) / 2)
            terms.append(F.relu(apart - _distance(high_2, low_1) + margin) / 2)
    # Both halves of a pair are terms of their own.
    return 2 * torch.stack(terms).mean() if terms else (x * 0).sum()


def _high_and_low(x: Tensor, activation: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Means of a video's rows ``[H]``, weighted by a class's activation and by its complement."""
    shares = softmax_rows(activation[None], mask[None])[0]
    rest = torch.where(mask, 1 - shares, 0) / (mask.sum() - 1).clamp(min=1)
    return shares @ x, rest @ x


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(one, other, dim=0)


def active_classes(scores: Floats, decoding: DecodingSettings) -> Ints:
    """Classes whose highest activations are above 0 on average."""
    return np.flatnonzero(scores > 0)


def middle(values: Floats, decoding: DecodingSettings) -> list[float]:
    """One threshold in the middle of the curve's range."""
    return [float(values.max() - (values.max() - values.min()) / 2)]


def runs_above(values: Floats, threshold: float, decoding: DecodingSettings) -> tuple[Ints, Ints]:
    """Runs above the threshold, which may be below 0."""
    return runs_of(values > threshold)


def score(runs: ThresholdedRuns, decoding: DecodingSettings) -> Floats:
    """Maximum of each run and a share of the video's score."""
    highest = [runs.scored[a:b].max() for a, b in zip(runs.first, runs.stop, strict=True)]
    return np.asarray(highest, np.float64) + decoding.gamma * runs.class_score


# A run of two rows at least; with one threshold nothing overlaps, so nothing is suppressed.
_DECODING = DecodingSettings(upsample=1, shortest=2, gamma=0.7, normalise="none", nms_iou=1.0)
_OFFICIAL = Preset(
    "official",
    "wtalc",
    WtalcSettings(),
    TrainingSettings(segments=750, steps=20000, batch=10, rate=1e-4, weight_decay=5e-4),
    _DECODING,
)


class WtalcHead(Head[Wtalc]):
    """Multiple-instance and co-activity losses."""

    name = "wtalc"
    network_class = Wtalc
    has_background = False
    background = "no class more active than .1"
    own = WtalcSettings
    # Steps of all, and rate and width of the latter two, are this project's.
    presets = {  # noqa: RUF012
        "official": _OFFICIAL,
        "default": _OFFICIAL.named("default", segments=None, steps=1500),
        "small": _OFFICIAL.named("small", segments=None, hidden=512, steps=300, rate=5e-4),
    }
    rules = DecodingRules(classes=active_classes, thresholds=middle, runs=runs_above, score=score)

    def choose(
        self, labels: NDArray[np.float32], step: int, seed: int, preset: Preset
    ) -> list[int]:
        """First pairs that share a class, then other videos."""
        pairs = preset.own_as(WtalcSettings).pairs
        return choose_pairs(labels, step, seed, preset.training.batch, pairs)

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of the top-k scores and the co-activity of the batch's first pairs."""
        own = preset.own_as(WtalcSettings)
        batch.check_finite(output.scores)
        classes = label_entropy(torch.log_softmax(output.scores, dim=1), batch.labels)
        similar = co_activity(
            output.embedded, output.cas, output.mask, batch.labels, own.pairs, own.margin
        )
        total = (1 - own.co_activity) * classes + own.co_activity * similar
        return Loss(total, {"classes": classes, "co_activity": similar})

    def predict(self, net: Wtalc, x: Tensor, preset: Preset) -> Prediction:
        """The activation of rows as it is."""
        output: Output = net(x[None])
        return Prediction(as_array(output.cas[0]), as_array(output.scores[0]))


HEAD = WtalcHead()
