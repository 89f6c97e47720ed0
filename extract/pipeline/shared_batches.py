"""Batches of one fixed shape that the snippets of several videos share.

The last snippets of a video rarely fill a batch, and a short video fills none. So a batch waits for
the snippets of the next video, until somebody needs the features of what is in it. No network mixes
the clips of a batch, so that a feature does not depend on its neighbours.
"""

import functools
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.inference.batching import GPU_BATCH

Arrival = Callable[[], NDArray[np.float32]]
"""Waits until features ``[n, D]`` are there."""


class SharedBatches:
    """Clips in order of their coming, run as many at a time as fill a batch.

    Args:
        run: begins to compute features of clips ``[n, ...]``, n at most ``size``.
        size: clips of a batch.
    """

    def __init__(self, run: Callable[[Tensor], Arrival], size: int = GPU_BATCH) -> None:
        self._run = run
        self._size = size
        self._lock = threading.Lock()
        self._open = _Batch()

    def add(self, clips: Tensor) -> "SharedRows":
        """Put clips ``[n, ...]`` into the open batch and, as it fills, into the next ones."""
        pieces, first = [], 0
        with self._lock:
            while first < len(clips):
                batch = self._open
                some = clips[first : first + self._size - batch.count]
                pieces.append(_Piece(batch, slice(batch.count, batch.count + len(some))))
                batch.clips.append(some)
                batch.count += len(some)
                first += len(some)
                if batch.count == self._size:
                    self._send()
        return SharedRows(self, pieces)

    def send(self, batch: "_Batch") -> None:
        """Run a batch as it is, unless it has been run."""
        with self._lock:
            if batch is self._open:
                self._send()

    def _send(self) -> None:
        batch, self._open = self._open, _Batch()
        try:
            batch.arrival = functools.cache(self._run(torch.cat(batch.clips)))
        except BaseException as error:
            # It belongs to all whose clips are in the batch, not to whoever filled it.
            batch.error = error
        batch.clips.clear()


class SharedRows:
    """Features of some clips, wherever they were put.

    Attributes:
        home: the batches that they share.
    """

    def __init__(self, home: SharedBatches, pieces: "list[_Piece]") -> None:
        self.home = home
        self._pieces = pieces

    def ready(self) -> bool:
        """Whether all of them are being computed, or are there."""
        return all(piece.batch.sent for piece in self._pieces)

    def begin(self) -> None:
        """Have them computed: a batch that is not full is run as it is."""
        for piece in self._pieces:
            self.home.send(piece.batch)

    def __call__(self) -> NDArray[np.float32]:
        """They, ``[n, D]``, as soon as they are there.

        Raises:
            BaseException: what running a batch raised.
        """
        self.begin()
        return np.concatenate([piece.batch.rows()[piece.rows] for piece in self._pieces])


class _Batch:
    """Clips that are run together, and what becomes of them."""

    def __init__(self) -> None:
        self.clips: list[Tensor] = []
        self.count = 0
        self.arrival: Arrival | None = None
        self.error: BaseException | None = None

    @property
    def sent(self) -> bool:
        return self.arrival is not None or self.error is not None

    def rows(self) -> NDArray[np.float32]:
        if self.error is not None:
            raise self.error
        assert self.arrival is not None
        return self.arrival()


class _Piece(NamedTuple):
    """Some rows of a batch."""

    batch: _Batch
    rows: slice
