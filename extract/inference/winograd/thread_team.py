"""Threads that share the jobs of a convolution, each with a workspace."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from extract.machine.llvm_code import aligned

Work = Callable[["Workspace", Iterable[int]], None]


class Workspace:
    """Buffers of one thread, grown to the needs of the largest layer."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.float32]] = {}

    def address(self, name: str, size: int) -> int:
        """Address of a buffer of at least ``size`` floats; its content may be lost."""
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = aligned(size)
        return int(self._buffers[name].ctypes.data)


class ThreadTeam:
    """As many threads as torch uses, kept from layer to layer, including the caller's.

    They release Python's lock while they compute. Several callers may run at once.
    """

    def __init__(self) -> None:
        self._others: ThreadPoolExecutor | None = None
        self._made_for = (0, 0)
        self._making = threading.Lock()
        self._own = threading.local()

    @property
    def size(self) -> int:
        """Threads that work for the calling thread, itself included."""
        return torch.get_num_threads()

    def run(self, work: Work, count: int) -> None:
        """Do the jobs 0 to ``count`` - 1; each thread takes the next remaining one.

        Args:
            work: given a thread's workspace and an iterator of jobs, which it must exhaust.
            count: number of jobs.
        """
        jobs = iter(range(count))

        def one() -> None:
            if not hasattr(self._own, "workspace"):
                self._own.workspace = Workspace()
            work(self._own.workspace, jobs)

        helpers = min(self.size, count) - 1
        others = self._pool() if helpers > 0 else None
        waiting = [others.submit(one) for _ in range(helpers)] if others else []
        try:
            one()
        finally:
            for future in waiting:
                future.result()

    def _pool(self) -> ThreadPoolExecutor:
        """The other threads; new ones if more are needed or the process was forked."""
        with self._making:
            process, wanted = os.getpid(), self.size - 1
            if self._others is None or self._made_for[0] != process or self._made_for[1] < wanted:
                self._others = ThreadPoolExecutor(wanted, "winograd")
                self._made_for = (process, wanted)
            return self._others
