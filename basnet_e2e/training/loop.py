"""The steps of training: batches, optimiser, progress, saved state."""

import contextlib
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.head import Loss, Shape
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.training.batches import draw_batch, known_rows
from basnet_e2e.training.run_identity import RunInputs
from basnet_e2e.training.state import (
    Best,
    RunState,
    own_random_state,
    postponed_stops,
    random_state,
    set_random_state,
)

SAVE_EVERY = 180.0  # seconds between saved states
EVALUATIONS = 20  # of the network in a run
SPEED_STEPS = 20  # steps over which the speed is averaged


@dataclass(frozen=True)
class TrainingStep:
    """What is known after a step.

    Attributes:
        step: steps done.
        steps: steps in all.
        loss: of this step's batch.
        speed: steps a second.
        left: seconds left at this speed.
        best: the metric at the best step so far, if it was evaluated.
        parts: the loss's named terms, before they are weighted.
        rates: learning rate of each of the optimiser's groups in this step.
        monitored: name and value of the metric after this step, if it was evaluated.
        net: the network, in training mode or not.
        preset: its settings, with ``segments`` resolved.
    """

    step: int
    steps: int
    loss: float
    speed: float
    left: float
    best: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    monitored: tuple[str, float] | None = None
    net: nn.Module | None = None
    preset: Preset | None = None


StepListener = Callable[[TrainingStep], None]


def evaluated_steps(steps: int) -> list[int]:
    """Steps of a run after which the network is evaluated, the last one among them."""
    every = max(1, steps // EVALUATIONS)
    return sorted({*range(every, steps + 1, every), steps})


class Run:
    """One training run.

    Args:
        inputs: all that the result depends on.
        device: where the network runs.
    """

    def __init__(self, inputs: RunInputs, device: torch.device) -> None:
        self.preset, self.seed, self.monitor = inputs.preset, inputs.seed, inputs.monitor
        self.head = find_head(self.preset.head)
        self.data = self.head.videos(inputs.data, self.preset)
        self.labels = self.data.targets()
        self.rows = known_rows(self.data, self.preset.training.rows)
        self.parts: dict[str, float] = {}
        self._evaluations = evaluated_steps(self.preset.training.steps)
        with own_random_state(device):
            torch.manual_seed(self.seed)
            features = self.data.videos[0].x.shape[1]
            self.shape = Shape.of(features, len(self.data.classes), self.data.settings)
            net = self.head.network(self.shape, self.preset)
            self.head.prepare(net, self.data, self.preset)
            net.to(device)
            self._random = random_state(device)
        optimizer = self.head.optimizer(net, self.preset)
        self.state = RunState(inputs.identity(), device, net, optimizer)

    @property
    def net(self) -> nn.Module:
        """The network after the steps done."""
        return self.state.net

    def load(self, path: Path) -> None:
        """Continue from a saved state.

        Raises:
            BasnetError: the file is damaged or another run's.
        """
        with own_random_state(self.state.device):
            self.state.load(path)
            self._random = random_state(self.state.device)

    def train(self, path: Path | None = None, progress: StepListener | None = None) -> None:
        """Take the remaining steps, saving the state to ``path`` now and then.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM, after the step it fell into and the saving.
            BasnetError: the scores are not finite.
        """
        last_save = time.monotonic()
        times = deque([last_save], SPEED_STEPS + 1)
        with own_random_state(self.state.device), postponed_stops() as stops:
            set_random_state(self._random, self.state.device)
            try:
                while not self._is_over() and not stops:
                    self._take_step()
                    monitored = self._evaluate()
                    if path is not None and time.monotonic() - last_save > SAVE_EVERY:
                        self.state.save(path)
                        last_save = time.monotonic()
                    if progress is not None:
                        progress(self._report(times, monitored))
                self._random = random_state(self.state.device)
                if stops and not self._is_over() and path is not None:
                    self.state.save(path)
            finally:
                self.net.eval()
        if stops and not self._is_over():
            signal.raise_signal(signal.Signals(stops[0]))
            raise KeyboardInterrupt

    def _take_step(self) -> None:
        state, device, preset = self.state, self.state.device, self.preset
        chosen = self.head.choose(self.labels, state.step, self.seed, preset)
        rng = np.random.default_rng([self.seed, 1, state.step])
        batch = draw_batch(self.data, self.labels, chosen, preset, rng, state.step, self.rows)
        batch = batch.to(device)
        self.net.train()
        self.head.before_step(self.net, state.optimizer, state.step, preset)
        state.optimizer.zero_grad(set_to_none=True)
        with _autocast(device):
            output = self.head.forward(self.net, batch, preset)
        loss = self.head.loss(output, batch, preset)
        loss.total.backward()
        state.optimizer.step()
        state.loss, self.parts = _values(loss)
        if not math.isfinite(state.loss):
            raise BasnetError(
                f"the loss of step {state.step + 1} is not finite: the features hold values that "
                "cannot be learnt from, or the learning rate is too high"
            )
        state.step += 1

    def _is_over(self) -> bool:
        """Whether no step remains; a function of the state alone, so that resuming agrees."""
        step, best, monitor = self.state.step, self.state.best.step, self.monitor
        if step >= self.preset.training.steps:
            return True
        return monitor is not None and monitor.should_stop(self._evaluations, best, step)

    def _evaluate(self) -> tuple[str, float] | None:
        """Name and value of the monitor's metric, if this step is to be evaluated."""
        state = self.state
        if self.monitor is None or state.step not in self._evaluations:
            return None
        self.net.eval()
        score = self.monitor.score(self.net, self.preset, state.step)
        if score > state.best.score:
            weights = {
                name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()
            }
            state.best = Best(state.step, score, weights)
        return self.monitor.metric(score)

    def _report(self, times: deque[float], monitored: tuple[str, float] | None) -> TrainingStep:
        state, steps = self.state, self.preset.training.steps
        times.append(time.monotonic())
        speed = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
        best = None
        if self.monitor is not None and state.best.weights is not None:
            best = self.monitor.metric(state.best.score)[1]
        return TrainingStep(
            step=state.step,
            steps=steps,
            loss=state.loss,
            speed=speed,
            left=(steps - state.step) / speed,
            best=best,
            parts=self.parts,
            rates=tuple(float(group["lr"]) for group in state.optimizer.param_groups),
            monitored=monitored,
            net=self.net,
            preset=self.preset,
        )


def _values(loss: Loss) -> tuple[float, dict[str, float]]:
    """The numbers of a loss, fetched from the device at once."""
    terms = [loss.total, *loss.parts.values()]
    total, *parts = torch.stack([term.detach().double() for term in terms]).tolist()
    return total, dict(zip(loss.parts, parts, strict=True))


def _autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 products on CUDA devices that have them; float32 elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()
