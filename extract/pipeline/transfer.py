"""Frames up to a device and features down from it, while the device keeps working."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_BYTES = 32 << 20
"""Bytes of frames that go up together: five of 1080p, so that a copy is worth its start."""
CHUNK_FRAMES = 64
"""At most so many, as what is made of small frames may be larger than they are."""


class Transfer:
    """Copies that are done when they return; none at all where the device is the processor."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Frames of one size, ``[H, W, 3]`` each, to ``[N, H, W, 3] uint8`` on the device."""
        return torch.from_numpy(np.stack(frames)).to(self._device)

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Send what was computed back; the function waits until it is there."""
        return rows.cpu().numpy


class CudaCopies:
    """Copies between pinned memory and a GPU, those up on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def buffer(self, size: int) -> Tensor:
        """Memory ``[size] uint8``, pinned so that the copy needs no processor."""
        with torch.cuda.device(self._device):
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a copy up; neither the processor nor the stream that computes waits here.

        Returns:
            The copy on the device, which work that is queued from now on may read, and a function
            that waits until ``staged`` may be written again.
        """
        with torch.cuda.stream(self._stream):
            there = staged.to(self._device, non_blocking=True)
            sent = self._stream.record_event()
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(sent)
        there.record_stream(computing)  # its memory is not given away before that stream is done
        return there, sent.synchronize

    def fetch(self, rows: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a copy down, after all work that is queued by now.

        Returns:
            The copy, and a function that waits until it is there.
        """
        with torch.cuda.device(self._device):
            here = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            here.copy_(rows, non_blocking=True)
            return here, torch.cuda.current_stream(self._device).record_event().synchronize


class StagedTransfer(Transfer):
    """Uploads through two buffers in turn: one is filled while the other is copied.

    Args:
        copies: what copies.
    """

    def __init__(self, copies: CudaCopies) -> None:
        self._copies = copies
        # Each with what to wait for before it is written again.
        self._buffers: list[tuple[Tensor | None, Callable[[], None]]] = [(None, _no_wait)] * 2

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """See `Transfer.up`; for one thread at a time."""
        shape = (len(frames), *frames[0].shape)
        size = int(np.prod(shape))
        buffer, wait = self._buffers.pop(0)
        wait()
        if buffer is None or len(buffer) < size:
            buffer = self._copies.buffer(size)
        staged = buffer[:size].view(shape)
        np.stack(frames, out=staged.numpy())
        there, wait = self._copies.send(staged)
        self._buffers.append((buffer, wait))
        return there

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """See `Transfer.down`."""
        here, wait = self._copies.fetch(rows)

        def arrived() -> NDArray[np.float32]:
            wait()
            found: NDArray[np.float32] = here.numpy().copy()  # pinned memory is scarce
            return found

        return arrived


def _no_wait() -> None:
    """Nothing is under way."""


def transfer_with(device: torch.device) -> Transfer:
    """The way to a device."""
    return StagedTransfer(CudaCopies(device)) if device.type == "cuda" else Transfer(device)


def chunk_length(frame: NDArray[np.uint8]) -> int:
    """How many frames of that size go up together."""
    return max(1, min(CHUNK_FRAMES, CHUNK_BYTES // max(frame.nbytes, 1)))
