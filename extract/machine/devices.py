"""Processor cores, devices by name, exact float32 on them; imports torch only when needed."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from extract.errors import ExtractError


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """Threads of this process: its cores, or torch's number if torch is in use and has fewer."""
    torch = sys.modules.get("torch")
    return min(cores(), torch.get_num_threads()) if torch is not None else cores()


RULED_OUT: dict[str, str] = {}
"""GPUs that this process does not use, by number, and the reason; see `rule_out`."""


def rule_out(device: str, reason: str) -> None:
    """Stop using a GPU: `choose_device` refuses it, and ``auto`` is the CPU."""
    RULED_OUT[_index(device)] = reason


def _index(device: str) -> str:
    return device.partition(":")[2] or "0"


def choose_device(device: str = "auto") -> str:
    """Torch's name of ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ExtractError: the name is unknown, the machine has no such device, or it was ruled out.
    """
    if device == "cpu":
        return device
    kind, colon, index = device.partition(":")
    if kind not in ("auto", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise ExtractError(f"no device '{device}'; choose auto, cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return "cuda" if count and "0" not in RULED_OUT else "cpu"
    if int(index or 0) >= count:
        found = ", ".join(f"cuda:{n}" for n in range(count)) or "no GPU"
        raise ExtractError(f"no device '{device}': torch finds {found} here; use auto or cpu")
    if reason := RULED_OUT.get(_index(device)):
        raise ExtractError(f"{reason}; use --device cpu")
    return device


def exact_float32() -> contextlib.AbstractContextManager[None]:
    """Inside the block torch rounds nothing below float32 and picks deterministic convolutions.

    TensorFloat-32 rounds factors to 10 bits, and torch uses it for convolutions by default:
    features and flow would depend on the device. The caller's choice is restored after the last of
    the threads that are inside.
    """
    return multiplying(tf32=False)


@contextlib.contextmanager
def multiplying(*, tf32: bool) -> Iterator[None]:
    """`exact_float32`, or with TensorFloat-32 in convolutions and matrix products of GPUs.

    The switches belong to the process: threads that want the same share them, and others wait. Such
    blocks are not nested with different settings.
    """
    _SWITCHES.take(tf32)
    try:
        yield
    finally:
        _SWITCHES.give_back()


class _Switches:
    """Torch's switches, shared by threads that want the same."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._users = 0
        self._tf32 = False
        self._before = contextlib.ExitStack()

    def take(self, tf32: bool) -> None:
        with self._free:
            self._free.wait_for(lambda: not self._users or self._tf32 == tf32)
            if not self._users:
                self._before.enter_context(_switched(tf32))
                self._tf32 = tf32
            self._users += 1

    def give_back(self) -> None:
        with self._free:
            self._users -= 1
            if not self._users:
                self._before.close()
                self._free.notify_all()


_SWITCHES = _Switches()


@contextlib.contextmanager
def _switched(tf32: bool) -> Iterator[None]:
    import torch

    with (
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32
        ),
        _products(tf32),
    ):
        yield


@contextlib.contextmanager
def _products(tf32: bool) -> Iterator[None]:
    """The same for matrix products, which torch rounds only at a caller's request."""
    import torch

    with contextlib.ExitStack() as restored:
        try:
            before, wanted = torch.get_float32_matmul_precision(), "high" if tf32 else "highest"
        except RuntimeError:
            # The caller used the newer switches (torch 2.9), which forbid the older ones.
            backends: Any = torch.backends
            for switch, exact in ((backends.cuda.matmul, not tf32), (backends.mkldnn.matmul, True)):
                restored.callback(setattr, switch, "fp32_precision", switch.fp32_precision)
                switch.fp32_precision = "ieee" if exact else "tf32"
        else:
            if before != wanted:
                restored.callback(torch.set_float32_matmul_precision, before)
                torch.set_float32_matmul_precision(wanted)
        yield
