"""Copies of frames to a device and of features from it, while the device keeps working."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_BYTES = 32 << 20
"""Bytes of frames per copy: five frames of 1080p."""
CHUNK_FRAMES = 64
"""Most frames per copy, since the pictures of small frames may be larger."""


class Transfer:
    """Copies that are finished when they return; on a CPU, nothing is copied."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def up(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Frames of one size, ``[H, W, 3]`` each, to ``[N, H, W, 3] uint8`` on the device."""
        return torch.from_numpy(np.stack(frames)).to(self._device)

    def down(self, rows: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Begin a copy of features from the device; the function waits for it."""
        return rows.cpu().numpy


class CudaCopies:
    """Copies between pinned memory and a GPU; uploads have a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def buffer(self, size: int) -> Tensor:
        """Pinned memory ``[size] uint8``."""
        with torch.cuda.device(self._device):
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, staged: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin an upload; neither the processor nor the computing stream waits.

        Returns:
            The copy on the device, which work queued from now on may read, and a function that
            waits until ``staged`` may be written again.
        """
        with torch.cuda.stream(self._stream):
            there = staged.to(self._device, non_blocking=True)
            sent = self._stream.record_event()
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(sent)
        there.record_stream(computing)  # keeps its memory until that stream is done
        return there, sent.synchronize

    def fetch(self, rows: Tensor) -> tuple[Tensor, Callable[[], None]]:
        """Begin a download after all work queued so far; returns the copy and a wait for it."""
        with torch.cuda.device(self._device):
            here = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
            here.copy_(rows, non_blocking=True)
            return here, torch.cuda.current_stream(self._device).record_event().synchronize


class StagedTransfer(Transfer):
    """Uploads through two buffers in turn: one is filled while the other is copied."""

    def __init__(self, copies: CudaCopies) -> None:
        self._copies = copies
        # Each with a wait until it may be written again.
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
    pass


def transfer_with(device: torch.device) -> Transfer:
    """Copies to and from a device."""
    return StagedTransfer(CudaCopies(device)) if device.type == "cuda" else Transfer(device)


def chunk_length(frame: NDArray[np.uint8]) -> int:
    """How many frames of this size a copy takes."""
    return max(1, min(CHUNK_FRAMES, CHUNK_BYTES // max(frame.nbytes, 1)))
