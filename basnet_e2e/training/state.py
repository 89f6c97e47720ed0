"""Training that can stop at any time: the state of a run in one file beside the model."""

import contextlib
import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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
    """Best weights so far, by a monitor."""

    step: int = 0
    score: float = -math.inf
    weights: dict[str, Tensor] | None = None


def state_path(output: str | os.PathLike[str]) -> Path:
    """State file of the run that writes the model ``output``."""
    return Path(f"{os.fspath(output)}.state")


def save_state(
    path: Path,
    run: dict[str, Any],
    step: int,
    loss: float,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Best,
    device: torch.device,
) -> None:
    """Write all that the next step depends on, whole or not at all.

    Args:
        path: file to write.
        run: what makes this run (settings, seed, data), to refuse another run's state.
        step: steps done.
        loss: of the last step.
        net: weights after that step.
        optimizer: with its moments.
        best: best weights so far.
        device: whose random state belongs to the run, beside the CPU's.

    Raises:
        BasnetError: the folder cannot be written or the disk is full.
    """
    state = {
        "version": STATE_VERSION,
        "run": json.dumps(run, sort_keys=True),
        "step": step,
        "loss": loss,
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": (best.step, best.score, best.weights),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }
    try:
        with atomic_write(path) as file:
            torch.save(state, file)
    except OSError as error:
        raise DiskError.of(error, path, "the training state") from error


def load_state(
    path: Path,
    run: dict[str, Any],
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> tuple[int, float, Best]:
    """Put a run back where it stopped.

    Returns:
        Steps done, the last loss and the best weights.

    Raises:
        BasnetError: the file is damaged, or belongs to a run with other settings or data.
    """
    try:
        loaded = torch.load(path, map_location=device, weights_only=True)
        if isinstance(loaded, dict) and loaded.get("version") not in (None, STATE_VERSION):
            raise BasnetError(f"{path}: state of another version; delete it to start again")
        state = convert(loaded, _State, strict=True)
        difference = run_difference(read_identity(state.run), run)
        if difference is None:
            if state.best[2] is not None:
                net.load_state_dict(state.best[2])  # sees whether they fit
            net.load_state_dict(state.net)
            _load_moments(optimizer, state.optimizer["state"])
            torch.set_rng_state(state.random.cpu())
            if device.type == "cuda" and state.random_cuda is not None:
                torch.cuda.set_rng_state(state.random_cuda.cpu(), device)
    except BasnetError:
        raise
    except Exception as error:  # of any kind, raised by torch on a damaged file
        raise BasnetError(
            f"{path}: damaged training state; delete it to start from the beginning"
        ) from error
    if difference is not None:
        raise BasnetError(
            f"{path}: this run was interrupted with {difference}; give the same again, or delete "
            "this file to start again"
        )
    return state.step, state.loss, Best(*state.best)


class _State(Struct):
    """What :func:`save_state` writes."""

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
    """Take over what was kept of each parameter.

    Fused kernels do not look at sizes: a tensor of another size would be read beyond its end.

    Raises:
        ValueError: it is not of these parameters.
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
            raise ValueError(f"what was kept of parameter {index} does not fit it")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


@contextlib.contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of breaking a step in its middle; a second one breaks it.

    Where signals do not come, outside the main thread, or are ignored, in a shell's background
    job, the event is never set.
    """
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or before in (signal.SIG_IGN, None):
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
