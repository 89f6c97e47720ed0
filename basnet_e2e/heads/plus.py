"""Plus: BaS-Net's network and loss, read with what the field has learnt since.

Every ingredient is a setting of the reading, so each can be switched off alone: which curves are
cut (``curve``), how copies of one interval are suppressed (``suppression``, ``nms_iou``,
``soft_sigma``), and the shared settings that differ from BaS-Net's (thresholds, classes, class
score, outer margin).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.basnet_head import BasnetHead
from basnet_e2e.heads.basnet_settings import PRESETS
from basnet_e2e.heads.nms import non_maximum_suppression
from basnet_e2e.heads.rules import Curve, Proposals, Rules, Seen
from basnet_e2e.heads.settings import Preset, Reading
from basnet_e2e.intervals import temporal_iou

LEAST_SCORE = 1e-3  # what soft suppression leaves below it is dropped


@dataclass(frozen=True)
class PlusReading(Reading):
    """Reading, with these settings more.

    Attributes:
        curve: ``activation`` is cut, or its ``product`` with the foreground weight, or ``both``,
            whose proposals are pooled.
        suppression: ``hard`` drops what overlaps a better interval by ``nms_iou``; ``soft`` lowers
            the score of every worse one by ``exp(-iou^2 / soft_sigma)``.
        soft_sigma: see above.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **Reading.CHOICES,
        "curve": ("activation", "product", "both"),
        "suppression": ("hard", "soft"),
    }

    curve: str = "activation"
    suppression: str = "soft"
    soft_sigma: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.soft_sigma <= 0:
            raise BasnetError(f"setting soft_sigma is above 0, not {self.soft_sigma}")


def curves(seen: Seen, index: int, reading: PlusReading) -> Sequence[Curve]:
    """The class's activation scaled to [0, 1], its product with the foreground weight, or both."""
    activation = seen.cas[:, index]
    low = max(activation.min(), 0.0)
    span = max(activation.max(), 0.0) - low
    scaled = (activation - low) / (span if span > 0 else 1.0)
    if seen.foreground is None or reading.curve == "activation":
        return [Curve(scaled)]
    product = Curve(scaled * seen.foreground)
    return [product] if reading.curve == "product" else [Curve(scaled), product]


def suppress(found: Proposals, reading: PlusReading) -> Proposals:
    """Proposals of one class, hard or soft, best first."""
    if reading.suppression == "hard":
        kept = non_maximum_suppression(found.start, found.end, found.score, reading.nms_iou)
        return found.take(kept)
    return soft_suppression(found, reading.soft_sigma)


def soft_suppression(found: Proposals, sigma: float) -> Proposals:
    """Gaussian soft suppression: each interval in turn lowers the scores of those it overlaps."""
    score = found.score.copy()
    left = np.arange(len(score))
    order = []
    while len(left):
        best = left[score[left].argmax()]
        if score[best] < LEAST_SCORE:
            break
        order.append(best)
        left = left[left != best]
        overlap = temporal_iou(
            found.start[best], found.end[best], found.start[left], found.end[left]
        )
        score[left] *= np.exp(-(overlap**2) / sigma)
    return replace(found, score=score).take(np.array(order, np.intp))


def _plus(preset: Preset) -> Preset:
    kept = {each.name: getattr(preset.reading, each.name) for each in fields(Reading)}
    kept |= {
        "theta_act": tuple(step / 20 for step in range(1, 19)),  # .05 to .9
        "theta_class": 0.1,
        "gamma": 0.5,
        "outer": 0.5,
        "nms_iou": 0.3,
    }
    return replace(preset, head="plus", reading=PlusReading(**kept))


class PlusHead(BasnetHead):
    """BaS-Net, read otherwise."""

    name = "plus"
    reading = PlusReading
    recipes = ()
    mends = {}  # noqa: RUF012
    # Nothing was released of it: ``official`` is ``default`` by another name.
    presets = {  # noqa: RUF012
        "official": _plus(PRESETS["default"].named("official")),
        "default": _plus(PRESETS["default"]),
        "small": _plus(PRESETS["small"]),
    }
    rules = Rules(curves=curves, suppress=suppress)


HEAD = PlusHead()
