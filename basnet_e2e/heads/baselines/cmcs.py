"""CMCS (Liu et al.): several classifiers that must look at different rows (CVPR 2019).

Numbers of the preset ``official`` are those of the released code's THUMOS'14 settings. UNVERIFIED:
that rates of the released code apply to streams side by side (here one network reads all streams),
that the percentile is the video's own, and that the share is that of each static clip. The released
code finds static clips by the flow's log magnitude: below its 25th percentile, after a median
filter of 2 fps - 1 frames, at least 2 fps frames long, and 5 to 30 % of the video. Cached
features have no magnitude; here the change from row to row replaces it, and rows replace frames.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor, nn

from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.heads.common.decoding_rules import DecodingRules, Floats, Ints, Prediction, runs_of
from basnet_e2e.heads.common.head import Batch, Head, Loss, Shape
from basnet_e2e.heads.common.pooling import (
    as_array,
    at_least_float,
    label_entropy,
    real_rows,
    softmax_rows,
)
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, Settings, TrainingSettings

DILATION = 1.25  # rows
# Of static clips: percentile of the change, share of the video, and the shortest in seconds.
PERCENTILE, SHARE, SECONDS = 25, (0.05, 0.30), 2.0


@dataclass(frozen=True)
class CmcsSettings(Settings):
    """Network and loss.

    Attributes:
        hidden: channels that all branches share.
        branch_hidden: channels within a branch, and within the attention.
        branches: classifiers.
        dropout: share of the features dropped, each for the whole video.
        diversity: weight of the branches' likeness.
        balance: weight of the difference of their norms.
        static: ``features`` adds clips whose features hardly change as videos of background;
            ``none`` adds nothing.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"static": ("features", "none")}
    COUNTS = ("hidden", "branch_hidden", "branches")

    hidden: int = 32
    branch_hidden: int = 16
    branches: int = 4
    dropout: float = 0.5
    diversity: float = 0.2
    balance: float = 0.2
    static: str = "features"


class Output(NamedTuple):
    """Output for B videos.

    Attributes:
        scores: ``[B, C + 1]`` logits of the video.
        branches: ``[K, B, T, C + 1]`` activation of each branch, background last.
        mask: real rows ``[B, T] bool``.
    """

    scores: Tensor
    branches: Tensor
    mask: Tensor


class Cmcs(nn.Module):
    """A shared layer, branches that classify rows, attention over time."""

    def __init__(self, shape: Shape, settings: CmcsSettings) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.share = nn.Linear(shape.features, settings.hidden)
        self.look = nn.ModuleList(
            nn.Conv1d(settings.hidden, settings.branch_hidden, 3, padding=1)
            for _ in range(settings.branches)
        )
        self.classify = nn.ModuleList(
            nn.Linear(settings.branch_hidden, shape.classes + 1) for _ in range(settings.branches)
        )
        self.squeeze = nn.Linear(settings.hidden, settings.branch_hidden)
        self.attend = nn.Linear(settings.branch_hidden, 1)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Output:
        """Videos ``[B, T, F]``, of which ``valid [B]`` rows are real."""
        mask = real_rows(x, valid)
        if self.training and self.dropout:
            x = F.dropout1d(x.transpose(1, 2), self.dropout).transpose(1, 2)
        # Padding is 0, as the rows before and after a video.
        shared = F.relu(self.share(x)) * mask[:, :, None]
        columns = shared.transpose(1, 2)
        branches = torch.stack(
            [
                at_least_float(classify(F.relu(look(columns)).transpose(1, 2)))
                for look, classify in zip(self.look, self.classify, strict=True)
            ]
        )
        attention = at_least_float(self.attend(F.relu(self.squeeze(shared))))[:, :, 0]
        shares = softmax_rows(attention, mask)
        return Output((shares[:, :, None] * branches.mean(0)).sum(1), branches, mask)


def likeness(branches: Tensor, mask: Tensor) -> Tensor:
    """Cosine over time of two branches' softmax, mean over their pairs, classes and videos.

    Args:
        branches: ``[K, B, T, N]``.
        mask: real rows ``[B, T] bool``.
    """
    shares = torch.softmax(branches, dim=3) * mask[:, :, None]
    pairs = list(itertools.combinations(range(len(shares)), 2))
    if not pairs:
        return branches.new_zeros(())
    each = [F.cosine_similarity(shares[one], shares[other], dim=1) for one, other in pairs]
    return torch.stack(each).mean()


def imbalance(branches: Tensor, mask: Tensor) -> Tensor:
    """``| ||S_b||_1 / T - mean over b |`` of each class, mean over branches, classes and videos."""
    norms = (branches.abs() * mask[:, :, None]).sum(2) / mask.sum(1)[:, None]
    return (norms - norms.mean(0, keepdim=True)).abs().mean()


def mean_threshold(values: Floats, decoding: DecodingSettings) -> list[float]:
    """One threshold: the mean of the curve."""
    return [float(values.mean())]


def dilated(values: Floats, threshold: float, decoding: DecodingSettings) -> tuple[Ints, Ints]:
    """Runs above the threshold, widened to both sides by half of the dilation."""
    reach = int(DILATION * decoding.upsample) // 2
    above = np.convolve(values > threshold, np.ones(2 * reach + 1))[reach:][: len(values)] > 0
    return runs_of(above)


def static_clips(video: VideoFeatures) -> Iterator[VideoFeatures]:
    """Static clips of a video as videos of their own."""
    rows = len(video.x)
    if rows < 2:
        return
    rate = (rows - 1) / max(float(video.start[-1] - video.start[0]), 1e-9)
    shortest = max(2, round(SECONDS * rate))
    for index, (first, stop) in enumerate(static_runs(np.asarray(video.x), shortest)):
        if SHARE[0] * rows <= stop - first <= SHARE[1] * rows:
            yield replace(
                video,
                id=f"{video.id}#static{index}",
                x=video.x[first:stop],
                start=video.start[first:stop],
                end=video.end[first:stop],
                duration=float(video.end[stop - 1] - video.start[first]),
            )


def static_runs(x: NDArray[np.float32], shortest: int) -> list[tuple[int, int]]:
    """First and one past last row of each static run.

    Args:
        x: ``[T, F]``, T at least 2.
        shortest: rows of the shortest run; the median filter has an odd number of about as many.
    """
    change = np.linalg.norm(np.diff(np.asarray(x, np.float64), axis=0), axis=1)
    change = np.append(change, change[-1])
    size = np.log(change + 1e-8)
    low = size < np.percentile(size, PERCENTILE)
    reach = max(0, (shortest - 1) // 2)
    windows = sliding_window_view(np.pad(low, reach, mode="edge"), 2 * reach + 1)
    runs = zip(*(each.tolist() for each in runs_of(np.median(windows, axis=1) > 0)), strict=True)
    return [(first, stop) for first, stop in runs if stop - first >= shortest]


_OFFICIAL = Preset(
    "official",
    "cmcs",
    CmcsSettings(),
    TrainingSettings(steps=15000, batch=24, rate=1e-4, weight_decay=1e-3),
    # A single threshold, so nothing overlaps and nothing is suppressed.
    DecodingSettings(theta_class=0.1, outer=0.25, gamma=0.25, nms_iou=1.0, shortest=1),
)


class CmcsHead(Head[Cmcs]):
    """Completeness by branches that differ, context by static clips."""

    name = "cmcs"
    network_class = Cmcs
    background = "background is the most active class"
    own = CmcsSettings
    # Steps, rate and batch of the latter two are this project's.
    presets = {  # noqa: RUF012
        "official": _OFFICIAL,
        "default": _OFFICIAL.named("default", steps=1500, rate=1e-3),
        "small": _OFFICIAL.named("small", steps=300, rate=3e-3, batch=16),
    }
    rules = DecodingRules(thresholds=mean_threshold, runs=dilated)

    def videos(self, data: LabelledSet, preset: Preset) -> LabelledSet:
        """Static clips are videos of background."""
        if preset.own_as(CmcsSettings).static == "none":
            return data
        clips = [clip for video in data.videos for clip in static_clips(video)]
        labels = [*data.labels, *([()] * len(clips))]
        return replace(data, videos=[*data.videos, *clips], labels=labels)

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy (a video of n classes is n examples of weight 1/n), the branches' terms."""
        own = preset.own_as(CmcsSettings)
        batch.check_finite(output.scores)
        background = (batch.labels.sum(1, keepdim=True) == 0).to(batch.labels.dtype)
        labels = torch.cat([batch.labels, background], dim=1)
        classes = label_entropy(torch.log_softmax(output.scores, dim=1), labels)
        alike = likeness(output.branches, output.mask)
        uneven = imbalance(output.branches, output.mask)
        total = classes + own.diversity * alike + own.balance * uneven
        return Loss(total, {"classes": classes, "diversity": alike, "balance": uneven})

    def predict(self, net: Cmcs, x: Tensor, preset: Preset) -> Prediction:
        """Softmax over classes and background of the branches' mean."""
        output: Output = net(x[None])
        rows = torch.softmax(output.branches[:, 0].mean(0), dim=1)
        return Prediction(as_array(rows), as_array(torch.softmax(output.scores[0], dim=0)[:-1]))


HEAD = CmcsHead()
