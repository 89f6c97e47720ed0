"""The state of a training run in a file beside the model, so that it can stop at any time."""

import contextlib
import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from msgspec import Struct
from torch import Tensor, nn

from basnet_e2e.errors import BasnetError
from basnet_e2e.training.run_identity import read_identity, run_difference
from extract.errors import DiskError
from weights.files import atomic_write
from weights.json_documents import Count, convert

STATE_VERSION = 2


@dataclass
class Best:
    """Best weights so far by the monitor's score."""

    step: int = 0
    score: float = -math.inf
    weights: dict[str, Tensor] | None = None


@dataclass
class RunState:
    """All that the next training step depends on, torch's random state included.

    Attributes:
        identity: of the run, to refuse the state of another one.
        device: whose random state belongs to the run, besides the CPU's.
        net: weights after ``step`` steps.
        optimizer: with its moments.
        step: steps done.
        loss: of the last step.
        best: best weights so far.
    """

    identity: dict[str, Any]
    device: torch.device
    net: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    loss: float = math.nan
    best: Best = field(default_factory=Best)

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all.

        Raises:
            BasnetError: the folder cannot be written or the disk is full.
        """
        random, random_cuda = random_state(self.device)
        state = {
            "version": STATE_VERSION,
            "run": json.dumps(self.identity, sort_keys=True),
            "step": self.step,
            "loss": self.loss,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": (self.best.step, self.best.score, self.best.weights),
            "random": random,
            "random_cuda": random_cuda,
        }
        try:
            with atomic_write(path) as file:
                torch.save(state, file)
        except OSError as error:
            raise DiskError.of(error, path, "the training state") from error

    def load(self, path: Path) -> None:
        """Restore a saved state.

        Raises:
            BasnetError: the file is damaged, or belongs to a run with other settings or data.
        """
        try:
            loaded = torch.load(path, map_location=self.device, weights_only=True)
            if isinstance(loaded, dict) and loaded.get("version") not in (None, STATE_VERSION):
                raise BasnetError(f"{path}: state of another version; delete it to start again")
            state = convert(loaded, _State, strict=True)
            difference = run_difference(read_identity(state.run), self.identity)
            if difference is None:
                if state.best[2] is not None:
                    self.net.load_state_dict(state.best[2])  # checks that they fit
                self.net.load_state_dict(state.net)
                _load_moments(self.optimizer, state.optimizer["state"])
                set_random_state((state.random, state.random_cuda), self.device)
        except BasnetError:
            raise
        except Exception as error:  # of any kind, raised by torch on a damaged file
            raise BasnetError(
                f"{path}: damaged training state; delete it to start from the beginning"
            ) from error
        if difference is not None:
            raise BasnetError(
                f"{path}: this run was interrupted with {difference}; give the same again, or "
                "delete this file to start again"
            )
        self.step, self.loss, self.best = state.step, state.loss, Best(*state.best)


def state_path(output: str | os.PathLike[str]) -> Path:
    """State file of the run that writes the model ``output``."""
    return Path(f"{os.fspath(output)}.state")


class _State(Struct):
    """A state file."""

    version: int
    run: str
    step: Count
    loss: float
    net: dict[str, Tensor]
    optimizer: dict[str, Any]  # with groups, whose rates the head sets at each step
    best: tuple[Count, float, dict[str, Tensor] | None]
    random: Tensor
    random_cuda: Tensor | None


# What an optimiser keeps of each parameter once it has taken a step.
MOMENTS = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}


def _load_moments(optimizer: torch.optim.Optimizer, saved: Any) -> None:
    """Restore the moments of each parameter.

    Fused kernels do not check sizes: a tensor of another size would be read beyond its end.

    Raises:
        ValueError: they do not fit the parameters.
    """
    moments = convert(saved, dict[int, dict[str, Tensor | None]], strict=True)
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    wanted = next(names for kind, names in MOMENTS.items() if isinstance(optimizer, kind))
    for index, kept in moments.items():
        sizes = {name: () if name == "step" else parameters[index].shape for name in wanted}
        fit = [
            name == "momentum_buffer"
            if tensor is None
            else tensor.dtype == torch.float32 and tensor.shape == sizes.get(name)
            for name, tensor in kept.items()
        ]
        if kept.keys() != wanted or not all(fit):
            raise ValueError(f"the moments of parameter {index} do not fit it")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def own_random_state(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Leave the caller's random numbers as they were."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Torch's random state on the CPU and on a CUDA device."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), cuda


def set_random_state(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state[0].cpu())
    if state[1] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state[1].cpu(), device)


@contextlib.contextmanager
def postponed_stops() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM are noted and break no step in its middle; a second one does.

    Signals that do not call a Python function (they end the program, or a shell's background job
    ignores them) are left alone, and all are outside the main thread, where none arrive.
    """
    noted: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: call for number, call in before.items() if main and callable(call)}

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            handlers[signal.Signals(number)](number, frame)
        noted.append(number)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, call in handlers.items():
            signal.signal(number, call)
