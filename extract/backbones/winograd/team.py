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

    They are ordinary ones that leave Python's lock while they compute, as the flow engine's.
    """

    def __init__(self) -> None:
        self._others: ThreadPoolExecutor | None = None
        self._made_for = (0, 0)
        self._rooms: list[Room] = []
        # Rooms are this team's: a second caller waits.
        self._busy = threading.Lock()

    @property
    def size(self) -> int:
        """Threads that work."""
        return torch.get_num_threads()

    def run(self, work: Work, count: int) -> None:
        """Do the jobs 0 to ``count`` - 1, each thread taking the next one that is left.

        Args:
            work: given a thread's room and its jobs, of which it must take all.
            count: jobs.
        """
        with self._busy:
            size = min(self.size, count)
            while len(self._rooms) < size:
                self._rooms.append(Room())
            jobs = iter(range(count))
            if size <= 1:
                work(self._rooms[0], jobs)
                return
            others = self._pool()
            waiting = [others.submit(work, self._rooms[n], jobs) for n in range(1, size)]
            try:
                work(self._rooms[0], jobs)
            finally:
                for future in waiting:
                    future.result()

    def _pool(self) -> ThreadPoolExecutor:
        """The other threads; new ones where their number changed or the process was forked."""
        wanted = (os.getpid(), self.size)
        if self._others is None or self._made_for != wanted:
            if self._others is not None and self._made_for[0] == wanted[0]:
                self._others.shutdown()
            self._others = ThreadPoolExecutor(self.size - 1, "winograd")
            self._made_for = wanted
        return self._others
