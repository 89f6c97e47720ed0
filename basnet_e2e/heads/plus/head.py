"""Plus: BaS-Net's idea on single rows; class shares are averaged where the features do not change.

It keeps BaS-Net's two branches with opposite targets for background. Everything else is a setting
that can be switched off alone:

* features on their principal axes (``components``) and several small classifiers of single
  rows (``networks``), trained on a few rows of each video at a time (``segments``);
* the shares of a softmax over classes and background are cut, not a class's activation scaled to
  its own range in the video (``activation``);
* the activation is averaged over neighbouring rows, but hardly across a change of the features
  (``reach``, :mod:`basnet_e2e.heads.plus.guided_filter`);
* shares are weighted by the foreground weight (``weighting``);
* soft suppression (``suppression``, ``soft_sigma``), thresholds from .05 to .9, classes from .1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.decoding_rules import DecodingRules, Floats, Prediction, Proposals
from basnet_e2e.heads.common.head import Batch, Head, Loss
from basnet_e2e.heads.common.pooling import as_array
from basnet_e2e.heads.common.row_loss import row_loss
from basnet_e2e.heads.common.second_stage import SHARES
from basnet_e2e.heads.common.settings import DecodingSettings, Preset, TrainingSettings
from basnet_e2e.heads.common.softmax import softmax
from basnet_e2e.heads.common.suppression import non_maximum_suppression, soft_suppression
from basnet_e2e.heads.plus.guided_filter import guided_mean, stretched_time
from basnet_e2e.heads.plus.network import Output, PlusNet, PlusSettings, plus_loss


@dataclass(frozen=True)
class PlusDecoding(DecodingSettings):
    """Decoding settings with those of this head.

    Attributes:
        activation: what is cut: ``shares`` of the softmax over classes and background of the base
            branch, or the ``suppressed`` activation, which ``normalise`` = ``minmax`` has to scale.
        reach: how far, in changes of the features, the activation is averaged over time; 0: not.
        weighting: power of the foreground weight that shares are multiplied by; 0: not.
        suppression: ``hard`` drops what overlaps a better interval by ``nms_iou``; ``soft`` lowers
            the score of every worse one by ``exp(-iou^2 / soft_sigma)``.
        soft_sigma: of ``soft``.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **DecodingSettings.CHOICES,
        "activation": ("shares", "suppressed"),
        "suppression": ("hard", "soft"),
    }

    activation: str = "shares"
    reach: float = 0.3
    weighting: float = 0.5
    suppression: str = "soft"
    soft_sigma: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.soft_sigma <= 0:
            raise BasnetError(f"setting soft_sigma is above 0, not {self.soft_sigma}")
        for name in ("reach", "weighting"):
            if getattr(self, name) < 0:
                raise BasnetError(f"setting {name} is 0 or more, not {getattr(self, name)}")


def suppress(found: Proposals, decoding: PlusDecoding) -> Proposals:
    """Proposals of one class, hard or soft, best first."""
    if decoding.suppression == "hard":
        kept = non_maximum_suppression(found.start, found.end, found.score, decoding.nms_iou)
        return found.take(kept)
    return soft_suppression(found, decoding.soft_sigma)


def highest_mean(values: Floats, ratio: int) -> Floats:
    """Mean of the ``max(1, n // ratio)`` highest of each column of ``[n, N]``: ``[N]``."""
    count = max(1, len(values) // ratio)
    return np.asarray(np.sort(values, axis=0)[-count:].mean(axis=0))


def predicted(
    cas: Floats, foreground: Floats, x: Floats, own: PlusSettings, decoding: PlusDecoding
) -> Prediction:
    """Prediction for one video from the network's outputs.

    Args:
        cas: ``[n, C + 1]`` of the base branch, background last; of several networks their mean.
        foreground: weights ``[n]``.
        x: rows ``[n, K]``, less their mean over videos, whose changes guide the mean.
        own: ``ratio``.
        decoding: the settings of this file.
    """
    places = stretched_time(x)
    suppressed = cas * foreground[:, None]
    smoothed = guided_mean(np.column_stack([cas, suppressed, foreground]), places, decoding.reach)
    classes = cas.shape[1]
    shares = softmax(smoothed[:, :classes])
    if decoding.activation == "suppressed":
        raw = smoothed[:, classes:-1]
    else:
        raw = shares * smoothed[:, -1:] ** decoding.weighting
    scores = softmax(highest_mean(suppressed, own.ratio))
    return Prediction(raw, scores[:-1], smoothed[:, -1], {SHARES: softmax(cas)})


_PLUS_DECODING = PlusDecoding(
    theta_class=0.1,
    theta_act=tuple(step / 20 for step in range(1, 19)),  # .05 to .9
    gamma=0.5,
    outer=0.5,
    nms_iou=0.3,
    normalise="none",
)
_DEFAULT = Preset(
    "default",
    "plus",
    PlusSettings(),
    TrainingSettings(segments=64, steps=200, batch=16, rate=3e-3, weight_decay=5e-4),
    _PLUS_DECODING,
)


class PlusHead(Head[PlusNet]):
    """Two branches on single rows, and a guided filter."""

    name = "plus"
    network_class = PlusNet
    learns_times = True
    where_annotated: Mapping[str, Any] = {"rows": "all", "centred": 0.6}
    own = PlusSettings
    decoding = PlusDecoding
    # It has no released code, so no ``official``; it is small enough for CPUs.
    presets: Mapping[str, Preset] = {
        "default": _DEFAULT,
        "small": _DEFAULT.named("small"),
    }
    rules = DecodingRules(suppress=suppress)

    def prepare(self, net: PlusNet, data: LabelledSet, preset: Preset) -> None:
        """Measure the principal axes."""
        net.project.measure(video.x for video in data.videos)

    def loss(self, output: Output, batch: Batch, preset: Preset) -> Loss:
        """Cross-entropy of both branches, norm of the foreground weights, and known rows."""
        batch.check_finite(output.cas, output.foreground)
        loss = plus_loss(output, batch.labels, preset.own_as(PlusSettings))
        if batch.rows is None:
            return loss
        by_network = [
            row_loss(cas, foreground, output.mask, batch.rows.without(part, len(output.cas)))
            for part, (cas, foreground) in enumerate(
                zip(output.cas, output.foreground, strict=True)
            )
        ]
        return loss.with_term("rows", torch.stack(by_network).mean(), preset.training.row_weight)

    def unaware(self, net: PlusNet, place: float) -> PlusNet:
        """The one network that left out the video's rows (:meth:`RowBatch.without`)."""
        return net.alone(int(place * len(net.networks)))

    def predict(self, net: PlusNet, x: Tensor, preset: Preset) -> Prediction:
        """Class shares of each row, averaged where the features do not change."""
        output: Output = net(x[None])
        decoding = preset.decoding
        assert isinstance(decoding, PlusDecoding)
        cas, foreground = (as_array(each[:, 0].mean(0)) for each in (output.cas, output.foreground))
        rows = as_array(net.project(x))
        return predicted(cas, foreground, rows, preset.own_as(PlusSettings), decoding)


HEAD = PlusHead()
