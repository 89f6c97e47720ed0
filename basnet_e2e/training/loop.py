"""The steps of training: batches, optimiser, progress, saved state."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basnet_e2e.data.dataset import LabelledSet
from basnet_e2e.data.sampling import padded
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.head import Batch, Loss, Shape
from basnet_e2e.heads.settings import Preset
from basnet_e2e.heads.table import find_head
from basnet_e2e.training.state import Best, load_state, postponed_interrupt, save_state
from basnet_e2e.training.validation import Validation

SAVE_EVERY = 180.0  # seconds between saved states
VALIDATIONS = 20  # validations in a run
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
        validation: average mAP of the best validation so far, if there was one.
        parts: the loss's named terms, before they are weighted.
        rates: learning rate of each of the optimiser's groups in this step.
        validated: average mAP of the validation after this step, if there was one.
    """

    step: int
    steps: int
    loss: float
    speed: float
    left: float
    validation: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    validated: float | None = None


StepListener = Callable[[TrainingStep], None]


def draw_batch(
    data: LabelledSet, labels: NDArray[np.float32], preset: Preset, step: int, seed: int
) -> Batch:
    """Batch of one step as the head draws it, a function of seed and step alone.

    Args:
        data: training videos.
        labels: their multi-hot labels ``[videos, C]``.
        preset: names the head, with ``segments`` resolved.
        step: counted from 0.
        seed: of the run.
    """
    head = find_head(preset.head)
    chosen = head.choose(labels, step, seed, preset)
    rng = np.random.default_rng([seed, 1, step])
    x, counts = padded([head.sample(data.videos[index].x, preset, rng) for index in chosen])
    valid = torch.from_numpy(counts) if counts.min() < x.shape[1] else None
    return Batch(
        torch.from_numpy(x), valid, torch.from_numpy(labels[chosen]), step, preset.training.steps
    )


def validated_steps(steps: int) -> list[int]:
    """Steps of a run after which it is validated, the last one among them."""
    every = max(1, steps // VALIDATIONS)
    return sorted({*range(every, steps + 1, every), steps})


class Run:
    """One training run; its state is the network, the optimiser and torch's random state.

    Args:
        data: training videos, as the head takes them.
        preset: the head and its settings, with ``segments`` resolved.
        seed: of weights, samples and dropout.
        device: where the network runs.
        identity: all that the result depends on, to refuse another run's state.
        validation: keeps the best step where given.
    """

    def __init__(
        self,
        data: LabelledSet,
        preset: Preset,
        seed: int,
        device: torch.device,
        identity: dict[str, Any],
        validation: Validation | None = None,
    ) -> None:
        self.data, self.preset = data, preset
        self.head = find_head(preset.head)
        self.labels = data.targets()
        self.seed, self.device, self.validation = seed, device, validation
        self.step = 0
        self.loss = float("nan")
        self.parts: dict[str, float] = {}
        self.best = Best()
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
                while self.step < self.preset.training.steps and not asked.is_set():
                    self._take_step()
                    validated = None
                    if self.validation is not None and self._validates():
                        validated = self._validate(self.validation)
                    if path is not None and time.monotonic() - last_save > SAVE_EVERY:
                        self.save(path)
                        last_save = time.monotonic()
                    if progress is not None:
                        progress(self._report(clock, validated))
                self._random = _random_state(self.device)
                if asked.is_set() and self.step < self.preset.training.steps:
                    if path is not None:
                        self.save(path)
                    raise KeyboardInterrupt
            finally:
                self.net.eval()

    def _take_step(self) -> None:
        drawn = draw_batch(self.data, self.labels, self.preset, self.step, self.seed)
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

    def _validates(self) -> bool:
        return self.step in validated_steps(self.preset.training.steps)

    def _validate(self, validation: Validation) -> float:
        self.net.eval()
        score = validation.score(self.net, self.preset)
        if score > self.best.score:
            weights = {
                name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()
            }
            self.best = Best(self.step, score, weights)
        return score

    def _report(self, clock: "_Clock", validated: float | None) -> TrainingStep:
        speed = clock.tick()
        left = (self.preset.training.steps - self.step) / speed
        shown = None if self.best.weights is None else self.best.score
        steps = self.preset.training.steps
        rates = tuple(float(group["lr"]) for group in self.optimizer.param_groups)
        return TrainingStep(
            self.step, steps, self.loss, speed, left, shown, self.parts, rates, validated
        )


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
