"""Where the network runs."""

import logging

import torch

from basnet_e2e.errors import BasnetError

log = logging.getLogger(__name__)


def choose_device(device: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is the first CUDA device where there is one, else the CPU.

    Raises:
        BasnetError: the name is unknown or the machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise BasnetError(f"no device '{device}'; choose auto, cpu or cuda[:N]") from error
    if chosen.type not in ("cpu", "cuda"):
        raise BasnetError(f"no device '{device}'; choose auto, cpu or cuda[:N]")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise BasnetError(f"no device '{device}': torch finds {count} CUDA devices here; use cpu")
    return chosen


def describe(device: torch.device) -> str:
    """The device for a message: ``CPU, 2 threads`` or the card's name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"CPU, {torch.get_num_threads()} threads"
