"""What computes: the processor cores of this process, the device of a name, exact float32 on it.

Nothing here imports torch before it is needed, so that a question about cores costs nothing.
"""

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
    """Threads of this process: its cores, or torch's number where torch is in use and has fewer.

    A worker process that limits torch's threads thereby limits every engine.
    """
    torch = sys.modules.get("torch")
    return min(cores(), torch.get_num_threads()) if torch is not None else cores()


def choose_device(device: str = "auto") -> str:
    """The device of that name as torch writes it; ``auto`` is a GPU where there is one.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ExtractError: the name is unknown or the machine has no such device.
    """
    if device == "cpu":
        return device
    kind, colon, index = device.partition(":")
    if kind not in ("auto", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise ExtractError(f"no device '{device}'; choose auto, cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return "cuda" if count else "cpu"
    if int(index or 0) >= count:
        found = ", ".join(f"cuda:{n}" for n in range(count)) or "no GPU"
        raise ExtractError(f"no device '{device}': torch finds {found} here; use auto or cpu")
    return device


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Inside the block torch rounds nothing below float32 and picks deterministic convolutions.

    TensorFloat-32 rounds factors to 10 bits, and torch lets convolutions use it unless told not
    to: features and flow would depend on the device. What the caller had chosen comes back after
    the last of the threads that are inside.
    """
    _exact.enter()
    try:
        yield
    finally:
        _exact.leave()


class _Exact:
    """These settings are the process's: the first thread makes them, the last takes them back."""

    def __init__(self) -> None:
        self._inside = 0
        self._lock = threading.Lock()
        self._before = contextlib.ExitStack()

    def enter(self) -> None:
        import torch

        with self._lock:
            if not self._inside:
                flags: Any = torch.backends.cudnn.flags
                self._before.enter_context(
                    flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
                )
                self._before.enter_context(_exact_products())
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


_exact = _Exact()


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """The same for matrix products, which torch rounds only where a caller has asked for it."""
    import torch

    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        # Asked for by the newer switches (torch 2.9), beside which the older ones are an error.
        backends: Any = torch.backends
        switches = (backends.cuda.matmul, backends.mkldnn.matmul)
        chosen = [switch.fp32_precision for switch in switches]
        for switch in switches:
            switch.fp32_precision = "ieee"
        try:
            yield
        finally:
            for switch, value in zip(switches, chosen, strict=True):
                switch.fp32_precision = value
        return
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
