"""When to stop training: the loss of held-out videos no longer falls.

It is a video-level quality, the only kind that labels of videos give. Whether the step it keeps
also places intervals best is another question; ``tests/benchmarks/few_videos.py`` measures it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from basnet_e2e.data.training_log import HELD_OUT
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.training.batches import batch_of
from basnet_e2e.training.holdout import Holdout

PATIENCE = 5  # evaluations without gain, of about 20 in a whole run


@dataclass(frozen=True)
class EarlyStopping:
    """Evaluates held-out videos now and then, keeps the best step and stops behind it.

    Attributes:
        holdout: the videos.
        patience: evaluations in a row without gain before training ends.
    """

    holdout: Holdout
    patience: int = PATIENCE
    name: ClassVar[str] = "stopping"

    def score(self, net: nn.Module, preset: Preset, step: int) -> float:
        """Minus the head's mean loss on the held-out videos, of a network in evaluation mode.

        Rows of long videos are drawn alike at every evaluation.

        Args:
            net: as the head made it.
            preset: names the head, with ``segments`` resolved.
            step: steps done, counted from 1.
        """
        head, data = find_head(preset.head), self.holdout.data
        device = next(net.parameters()).device
        labels, rng = data.targets(), np.random.default_rng(0)
        total = 0.0
        with torch.no_grad():
            for first in range(0, len(labels), preset.training.batch):
                chosen = list(range(len(labels)))[first : first + preset.training.batch]
                batch = batch_of(data, labels, chosen, preset, rng, step - 1).to(device)
                loss = head.loss(head.forward(net, batch, preset), batch, preset)
                total += float(loss.total) * len(chosen)
        return -total / len(labels)

    def should_stop(self, evaluations: list[int], best: int, step: int) -> bool:
        """Whether training ends after ``step``.

        Args:
            evaluations: steps of a run after which it is evaluated, ascending.
            best: the best of them so far.
            step: steps done.
        """
        return sum(best < each <= step for each in evaluations) >= self.patience

    def metric(self, score: float) -> tuple[str, float]:
        """The loss."""
        return HELD_OUT, -score

    def record(self, step: int, score: float) -> dict[str, Any]:
        """What the model keeps of it."""
        return {"step": step, "loss": -score, "patience": self.patience}


def check_can_stop(preset: Preset, holds_out: bool, validates: bool) -> None:
    """Refuse what training cannot be stopped early by.

    Args:
        preset: names the head.
        holds_out: whether videos are held out.
        validates: whether the best step is chosen by intervals.

    Raises:
        BasnetError: nothing is held out, intervals choose, or the head learns one thing after the
            other.
    """
    if not holds_out:
        raise BasnetError("--stop-early looks at videos held out: give a share, --holdout 0.2")
    if validates:
        raise BasnetError(
            "--stop-early and --validate both choose the step that is kept: leave out one of both"
        )
    if not find_head(preset.head).may_stop:
        raise BasnetError(
            f"the head {preset.head} learns one thing after the other, so its training cannot stop "
            "early; leave out --stop-early"
        )
