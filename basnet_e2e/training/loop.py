"""The steps of training: batches, optimiser, progress, saved state."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.head import Loss, Shape
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.training.batches import draw_batch, known_rows
from basnet_e2e.training.state import Best, load_state, postponed_interrupt, save_state

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
        net: the network, for listeners, in evaluation mode.
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


class Monitor(Protocol):
    """Evaluates a network now and then, so that its best step is kept."""

    def score(self, net: nn.Module, preset: Preset, step: int) -> float:
        """Of a network in evaluation mode after ``step`` steps; higher is better."""

    def should_stop(self, evaluations: list[int], best: int, step: int) -> bool:
        """Whether training ends after ``step``, the best of the ``evaluations`` being ``best``."""

    def metric(self, score: float) -> tuple[str, float]:
        """Name and value of the score as people know it."""


def evaluated_steps(steps: int) -> list[int]:
    """Steps of a run after which the network is evaluated, the last one among them."""
    every = max(1, steps // EVALUATIONS)
    return sorted({*range(every, steps + 1, every), steps})


class Run:
    """One training run; its state is the network, the optimiser and torch's random state.

    Args:
        data: training videos, as the head takes them.
        preset: the head and its settings, with ``segments`` resolved.
        seed: of weights, samples and dropout.
        device: where the network runs.
        identity: all that the result depends on, to refuse another run's state.
        monitor: keeps the best step where given, and may end the run.
    """

    def __init__(
        self,
        data: LabelledSet,
        preset: Preset,
        seed: int,
        device: torch.device,
        identity: dict[str, Any],
        monitor: Monitor | None = None,
    ) -> None:
        self.data, self.preset = data, preset
        self.head = find_head(preset.head)
        self.labels = data.targets()
        self.rows = known_rows(data, preset.training.rows)
        self.seed, self.device, self.monitor = seed, device, monitor
        self.step = 0
        self.loss = float("nan")
        self.parts: dict[str, float] = {}
        self.best = Best()
        self._evaluations = evaluated_steps(preset.training.steps)
        self._run = identity
        with _own_random_state(device):
            torch.manual_seed(seed)
            features = data.videos[0].x.shape[1]
            self.shape = Shape.of(features, len(data.classes), data.settings)
            self.net = self.head.network(self.shape, preset)
            self.head.prepare(self.net, data, preset)
            self.net.to(device)
            self._random = _random_state(device)
        self.optimizer = self.head.optimizer(self.net, preset)

    def load(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            BasnetError: the file is damaged or another run's.
        """
        with _own_random_state(self.device):
            self.step, self.loss, self.best = load_state(
                path, self._run, self.net, self.optimizer, self.device
            )
            self._random = _random_state(self.device)

    def save(self, path: Path) -> None:
        """Save the state after the last whole step, within :meth:`train`."""
        save_state(
            path, self._run, self.step, self.loss, self.net, self.optimizer, self.best, self.device
        )

    def train(self, path: Path | None = None, progress: StepListener | None = None) -> None:
        """Take the steps that are left, saving the state to ``path`` now and then.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the step it fell into and the saving.
            BasnetError: the scores are not finite.
        """
        last_save = time.monotonic()
        clock = _Clock()
        with _own_random_state(self.device), postponed_interrupt() as asked:
            _set_random_state(self._random, self.device)
            try:
                while not self._is_over() and not asked.is_set():
                    self._take_step()
                    monitored = None
                    if self.monitor is not None and self.step in self._evaluations:
                        monitored = self._evaluate(self.monitor)
                    if path is not None and time.monotonic() - last_save > SAVE_EVERY:
                        self.save(path)
                        last_save = time.monotonic()
                    if progress is not None:
                        progress(self._report(clock, monitored))
                self._random = _random_state(self.device)
                if asked.is_set() and not self._is_over():
                    if path is not None:
                        self.save(path)
                    raise KeyboardInterrupt
            finally:
                self.net.eval()

    def _take_step(self) -> None:
        drawn = draw_batch(self.data, self.labels, self.preset, self.step, self.seed, self.rows)
        batch = drawn.to(self.device)
        self.net.train()
        self.head.before_step(self.net, self.optimizer, self.step, self.preset)
        self.optimizer.zero_grad(set_to_none=True)
        with _autocast(self.device):
            output = self.head.forward(self.net, batch, self.preset)
        loss = self.head.loss(output, batch, self.preset)
        loss.total.backward()
        self.optimizer.step()
        self.loss, self.parts = _values(loss)
        if not math.isfinite(self.loss):
            raise BasnetError(
                f"the loss of step {self.step + 1} is not finite: the features hold values that "
                "cannot be learnt from, or the learning rate is too high"
            )
        self.step += 1

    def _is_over(self) -> bool:
        """Whether there is no step left; a function of the state alone, so that resuming agrees."""
        if self.step >= self.preset.training.steps:
            return True
        monitor = self.monitor
        return monitor is not None and monitor.should_stop(
            self._evaluations, self.best.step, self.step
        )

    def _evaluate(self, monitor: Monitor) -> tuple[str, float]:
        self.net.eval()
        score = monitor.score(self.net, self.preset, self.step)
        if score > self.best.score:
            weights = {
                name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()
            }
            self.best = Best(self.step, score, weights)
        return monitor.metric(score)

    def _report(self, clock: "_Clock", monitored: tuple[str, float] | None) -> TrainingStep:
        speed = clock.tick()
        left = (self.preset.training.steps - self.step) / speed
        best = None
        if self.monitor is not None and self.best.weights is not None:
            best = self.monitor.metric(self.best.score)[1]
        steps = self.preset.training.steps
        rates = tuple(float(group["lr"]) for group in self.optimizer.param_groups)
        how = (self.parts, rates, monitored, self.net, self.preset)
        return TrainingStep(self.step, steps, self.loss, speed, left, best, *how)


def _values(loss: Loss) -> tuple[float, dict[str, float]]:
    """The numbers of a loss, fetched from the device at once."""
    terms = [loss.total, *loss.parts.values()]
    total, *parts = torch.stack([term.detach().double() for term in terms]).tolist()
    return total, dict(zip(loss.parts, parts, strict=True))


class _Clock:
    """Steps a second over the last few steps."""

    def __init__(self) -> None:
        self._times = [time.monotonic()]

    def tick(self) -> float:
        self._times = [*self._times[-SPEED_STEPS:], time.monotonic()]
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)


def _autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 products on CUDA devices that have them; float32 elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda


def _set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
