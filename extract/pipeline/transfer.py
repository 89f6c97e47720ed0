"""Frames up to a device and features down from it, while the device works on."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLAB_BYTES = 32 << 20
"""Bytes of frames that go up together: five of 1080p, so that a copy is worth its start."""
SLAB_FRAMES = 64
"""At most so many, as what is made of small frames may be larger than they are."""


class Transfer(Protocol):
    """The way to a device and back."""

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Frames of one size, ``[H, W, 3]`` each, to ``[N, H, W, 3] uint8`` on the device."""
        ...

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Send what was computed back; the function waits until it is there."""
        ...


class PlainTransfer:
    """Copies that are done when they return; none at all where the device is the processor."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """See `Transfer.up`."""
        return torch.from_numpy(np.stack(frames)).to(self._device)

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """See `Transfer.down`."""
        return rows.cpu().numpy


class Lane(Protocol):
    """Copies that go on beside everything else, between pinned memory and a device."""

    def buffer(self, size: int) -> Tensor:
        """Memory ``[size] uint8`` that `send` can copy from."""
        ...

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a copy up.

        Returns:
            The copy on the device, which work that is queued from now on may read, and a function
            that waits until ``staged`` may be written again.
        """
        ...

    def fetch(self, rows: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a copy down, after all work that is queued by now.

        Returns:
            The copy, and a function that waits until it is there.
        """
        ...


class CudaLane:
    """Uploads on a stream of their own, beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def buffer(self, size: int) -> Tensor:
        """Pinned, so that the copy needs no processor."""
        with torch.cuda.device(self._device):
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """See `Lane.send`; neither the processor nor the stream that computes waits here.

        The computing stream waits for the copy before what is queued on it from now on.
        """
        with torch.cuda.stream(self._stream):
            there = staged.to(self._device, non_blocking=True)
            sent = self._stream.record_event()
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(sent)
        there.record_stream(computing)  # its memory is not given away before that stream is done
        return there, sent.synchronize

    def fetch(self, rows: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """See `Lane.fetch`."""
        with torch.cuda.device(self._device):
            here = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            here.copy_(rows, non_blocking=True)
            return here, torch.cuda.current_stream(self._device).record_event().synchronize


class StagedTransfer:
    """Uploads through two buffers in turn: one is filled while the other is copied.

    Args:
        lane: what copies.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._slots = [_Slot(), _Slot()]

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """See `Transfer.up`; for one thread at a time."""
        shape = (len(frames), *frames[0].shape)
        size = int(np.prod(shape))
        slot = self._slots[0]
        self._slots.reverse()
        slot.wait()
        if slot.buffer is None or len(slot.buffer) < size:
            slot.buffer = self._lane.buffer(size)
        staged = slot.buffer[:size].view(shape)
        np.stack(frames, out=staged.numpy())
        there, slot.wait = self._lane.send(staged)
        return there

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """See `Transfer.down`."""
        here, wait = self._lane.fetch(rows)

        def arrived() -> NDArray[np.float32]:
            wait()
            found: NDArray[np.float32] = here.numpy().copy()  # pinned memory is scarce
            return found

        return arrived


class _Slot:
    """A buffer, and what to wait for before it is written again."""

    def __init__(self) -> None:
        self.buffer: Tensor | None = None
        self.wait: Callable[[], None] = _at_once


def _at_once() -> None:
    """Nothing is under way."""


def transfer_with(device: torch.device) -> Transfer:
    """The way to a device."""
    return StagedTransfer(CudaLane(device)) if device.type == "cuda" else PlainTransfer(device)


def slab_length(frame: NDArray[np.uint8]) -> int:
    """How many frames of that size go up together."""
    return max(1, min(SLAB_FRAMES, SLAB_BYTES // max(frame.nbytes, 1)))
