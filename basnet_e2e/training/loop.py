"""The steps of training: batches, optimiser, progress, saved state."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basnet_e2e.data.dataset import LabelledSet
from basnet_e2e.data.sampling import padded, training_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.basnet import BaSNet
from basnet_e2e.heads.loss import basnet_loss
from basnet_e2e.heads.presets import Preset, Recipe
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
        validation: average mAP of the last validation, if there was one.
    """

    step: int
    steps: int
    loss: float
    speed: float
    left: float
    validation: float | None = None


Progress = Callable[[TrainingStep], None]


@dataclass(frozen=True)
class Data:
    """Features and multi-hot labels ``[videos, C]`` of the training videos, in memory."""

    features: list[NDArray[np.float32]]
    labels: NDArray[np.float32]

    @classmethod
    def of(cls, data: LabelledSet) -> "Data":
        """From labelled videos."""
        return cls([video.x for video in data.videos], data.targets())

    def batch(self, step: int, seed: int, preset: Preset) -> tuple[Tensor, Tensor | None, Tensor]:
        """Batch of one step, a function of seed and step alone.

        Returns:
            Features ``[B, T, F]``, real rows ``[B]`` (None where all are), labels ``[B, C]``.
        """
        assert preset.segments is not None  # resolved before training
        chosen = batch_videos(len(self.features), step, seed, preset)
        rng = np.random.default_rng([seed, 1, step])
        samples = [
            training_rows(self.features[index], preset.segments, preset, rng) for index in chosen
        ]
        x, counts = padded(samples)
        valid = torch.from_numpy(counts) if counts.min() < x.shape[1] else None
        return torch.from_numpy(x), valid, torch.from_numpy(self.labels[chosen])


def batch_videos(videos: int, step: int, seed: int, preset: Preset) -> list[int]:
    """Videos of one step, counted from 0: no video twice while there are enough."""
    size = min(preset.batch, videos)
    if preset.batches == "independent":
        order = np.random.default_rng([seed, 2, step]).permutation(videos)
        return [int(index) for index in order[:size]]
    # Shuffled epochs one behind the other; a batch may reach into the next epoch.
    places = range(step * size, (step + 1) * size)
    epochs = {
        epoch: np.random.default_rng([seed, 2, epoch]).permutation(videos)
        for epoch in {place // videos for place in places}
    }
    return [int(epochs[place // videos][place % videos]) for place in places]


def validated_steps(steps: int) -> list[int]:
    """Steps of a run after which it is validated, the last one among them."""
    every = max(1, steps // VALIDATIONS)
    return sorted({*range(every, steps + 1, every), steps})


class Run:
    """One training run; its state is the network, the optimiser and torch's random state.

    Args:
        data: training videos.
        preset: settings, with ``segments`` resolved.
        recipe: which branches are trained.
        seed: of weights, samples and dropout.
        device: where the network runs.
        identity: all that the result depends on, to refuse another run's state.
        validation: keeps the best step where given.
    """

    def __init__(
        self,
        data: Data,
        preset: Preset,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        identity: dict[str, Any],
        validation: Validation | None = None,
    ) -> None:
        self.data, self.preset, self.recipe = data, preset, recipe
        self.seed, self.device, self.validation = seed, device, validation
        self.step = 0
        self.loss = float("nan")
        self.best = Best()
        self._run = identity
        with _own_random_state(device):
            torch.manual_seed(seed)
            features = data.features[0].shape[1]
            self.net = BaSNet.of_preset(features, data.labels.shape[1], preset, recipe)
            self.net.to(device)
            self._random = _random_state(device)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(),
            lr=preset.rate,
            betas=(0.9, 0.999),
            weight_decay=preset.weight_decay,
            fused=True,
        )

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

    def train(self, path: Path | None = None, progress: Progress | None = None) -> None:
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
                while self.step < self.preset.steps and not asked.is_set():
                    self._take_step()
                    if self.validation is not None and self._validates():
                        self._validate(self.validation)
                    if path is not None and time.monotonic() - last_save > SAVE_EVERY:
                        self.save(path)
                        last_save = time.monotonic()
                    if progress is not None:
                        progress(self._report(clock))
                self._random = _random_state(self.device)
                if asked.is_set() and self.step < self.preset.steps:
                    if path is not None:
                        self.save(path)
                    raise KeyboardInterrupt
            finally:
                self.net.eval()

    def _take_step(self) -> None:
        x, valid, labels = self.data.batch(self.step, self.seed, self.preset)
        x, labels = x.to(self.device), labels.to(self.device)
        valid = None if valid is None else valid.to(self.device)
        self.net.train()
        self.optimizer.zero_grad(set_to_none=True)
        with _autocast(self.device):
            output = self.net(x, valid)
        scores = [part for part in (output.scores_base, output.scores_supp) if part is not None]
        if not all(bool(part.isfinite().all()) for part in scores):
            raise BasnetError(
                f"the scores of step {self.step + 1} are not finite: the features hold values that "
                "cannot be learnt from (very large ones?)"
            )
        loss = basnet_loss(output, labels, self.preset, self.recipe, valid).total
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()
        self.step += 1

    def _validates(self) -> bool:
        return self.step in validated_steps(self.preset.steps)

    def _validate(self, validation: Validation) -> None:
        self.net.eval()
        score = validation.score(self.net, self.preset)
        if score > self.best.score:
            weights = {
                name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()
            }
            self.best = Best(self.step, score, weights)

    def _report(self, clock: "_Clock") -> TrainingStep:
        speed = clock.tick()
        left = (self.preset.steps - self.step) / speed
        shown = None if self.best.weights is None else self.best.score
        return TrainingStep(self.step, self.preset.steps, self.loss, speed, left, shown)


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
