"""Where the head's network runs."""

import torch

import extract.machine.devices
from basnet_e2e.errors import BasnetError
from extract.errors import ExtractError


def choose_device(device: str = "auto") -> torch.device:
    """The device of that name, see `extract.machine.devices.choose_device`.

    Raises:
        BasnetError: the name is unknown or the machine has no such device.
    """
    try:
        return torch.device(extract.machine.devices.choose_device(device))
    except ExtractError as error:
        raise BasnetError(str(error)) from error


def describe(device: torch.device) -> str:
    """The device for a message: ``CPU, 2 threads`` or the card's name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads != 1)}"
