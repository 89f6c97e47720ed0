"""Stop training when the loss of held-out videos no longer falls.

Whether the step with the least loss also places intervals best is measured by
``tests/benchmarks/few_videos.py``.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from basnet_e2e.data.training_log import HELD_OUT
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.training.batches import draw_batch
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
                batch = draw_batch(data, labels, chosen, preset, rng, step - 1).to(device)
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
        """What the model's training summary keeps of its best step."""
        return {"step": step, "loss": -score, "patience": self.patience}
