"""Threads that share the blocks of one convolution, and the room that each works in."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

LINE = 16
"""Floats of a cache line."""

Work = Callable[["Room", Iterable[int]], None]


def aligned(size: int) -> NDArray[np.float32]:
    """Room for that many floats that begins on a cache line."""
    buffer = np.empty(size + LINE, np.float32)
    return buffer[-buffer.ctypes.data // 4 % LINE :][:size]


class Room:
    """Buffers of one thread, grown to what the largest layer needs."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.float32]] = {}

    def address(self, name: str, size: int) -> int:
        """Where a buffer of at least ``size`` floats begins; what it held may be gone."""
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = aligned(size)
        return int(self._buffers[name].ctypes.data)


class Team:
    """As many threads as torch has, kept from layer to layer; the caller is one of them.

    They are ordinary ones that leave Python's lock while they compute, as the flow engine's. Each
    has a room of its own, and several callers may come at once.
    """

    def __init__(self) -> None:
        self._others: ThreadPoolExecutor | None = None
        self._made_for = (0, 0)
        self._making = threading.Lock()
        self._own = threading.local()

    @property
    def size(self) -> int:
        """Threads that work for the calling thread."""
        return torch.get_num_threads()

    def run(self, work: Work, count: int) -> None:
        """Do the jobs 0 to ``count`` - 1, each thread taking the next one that is left.

        Args:
            work: given a thread's room and its jobs, of which it must take all.
            count: jobs.
        """
        jobs = iter(range(count))

        def one() -> None:
            if not hasattr(self._own, "room"):
                self._own.room = Room()
            work(self._own.room, jobs)

        helpers = min(self.size, count) - 1
        others = self._pool() if helpers > 0 else None
        waiting = [others.submit(one) for _ in range(helpers)] if others else []
        try:
            one()
        finally:
            for future in waiting:
                future.result()

    def _pool(self) -> ThreadPoolExecutor:
        """The other threads; new ones where more are wanted or the process was forked."""
        with self._making:
            process, wanted = os.getpid(), self.size - 1
            if self._others is None or self._made_for[0] != process or self._made_for[1] < wanted:
                self._others = ThreadPoolExecutor(wanted, "winograd")
                self._made_for = (process, wanted)
            return self._others
