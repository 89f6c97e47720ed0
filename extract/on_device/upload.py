"""Frames on their way to a device: once each, as bytes, while the device works on earlier ones."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLAB_BYTES = 32 << 20
"""Bytes of frames that go up together: five of 1080p, so that a copy is worth its start."""

Upload = Callable[[Sequence[NDArray[np.uint8]]], Tensor]
"""Frames of one size, ``[H, W, 3]`` each, to ``[N, H, W, 3] uint8`` on a device."""


class Lane(Protocol):
    """A way from pinned memory to a device."""

    def buffer(self, size: int) -> Tensor:
        """Memory ``[size] uint8`` that `send` can copy from."""
        ...

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a copy.

        Returns:
            The copy on the device, which work that is queued from now on may read, and a function
            that waits until ``staged`` may be written again.
        """
        ...


class CudaLane:
    """A stream of its own, beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def buffer(self, size: int) -> Tensor:
        """Pinned, so that the copy needs no processor."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """See `Lane.send`; nothing waits here, neither the processor nor the stream that computes.

        The computing stream waits for the copy where it first needs it.
        """
        with torch.cuda.stream(self._stream):
            there = staged.to(self._device, non_blocking=True)
            sent = self._stream.record_event()
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(sent)
        there.record_stream(computing)  # its memory is not given away before that stream is done
        return there, sent.synchronize


class StagedUpload:
    """Uploads through two buffers in turn: one is filled while the other is copied.

    Args:
        lane: the way up.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._slots = [_Slot(), _Slot()]

    def __call__(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """See `Upload`."""
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


class _Slot:
    """A buffer, and what to wait for before it is written again."""

    def __init__(self) -> None:
        self.buffer: Tensor | None = None
        self.wait: Callable[[], None] = _at_once


def _at_once() -> None:
    """Nothing is under way."""


def plain_upload(device: torch.device) -> Upload:
    """An upload that is done when it returns."""
    return lambda frames: torch.from_numpy(np.stack(frames)).to(device)


def upload_to(device: torch.device) -> Upload:
    """What brings frames to a device: nothing at all where it is the processor."""
    return StagedUpload(CudaLane(device)) if device.type == "cuda" else plain_upload(device)


def slab_length(frame: NDArray[np.uint8]) -> int:
    """How many frames of that size go up together."""
    return max(1, SLAB_BYTES // max(frame.nbytes, 1))
