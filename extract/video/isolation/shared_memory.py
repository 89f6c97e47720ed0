"""Memory shared by two processes, for the pictures that one decodes for the other."""

import mmap
import os
import sys
import tempfile

import numpy as np
from numpy.typing import NDArray

# Pictures that are ready at a time: enough to decode ahead of the networks, in bounded memory.
MOST_SLOTS = 16
READY_BYTES = 64 << 20
FEWEST_SLOTS = 2


def slots_for(size: tuple[int, int]) -> int:
    """How many pictures of (width, height) pixels are kept ready."""
    return max(FEWEST_SLOTS, min(MOST_SLOTS, READY_BYTES // max(1, size[0] * size[1] * 3)))


def new_memory() -> int | None:
    """Descriptor of an empty anonymous file to share; None on Windows, where memory has a name.

    It is never 0, 1 or 2, even if those are closed: the other process uses them itself.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    memory = hasattr(os, "memfd_create")
    with (
        open(os.memfd_create("basnet-frames"), "w+b") if memory else tempfile.TemporaryFile()
    ) as file:
        return fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)


class SharedFrames:
    """Slots for pictures of one size, as seen by one of the two processes.

    Args:
        descriptor: from ``new_memory``.
        name: of the memory on Windows; unused elsewhere.
        size: (width, height) of a picture.
    """

    def __init__(self, descriptor: int | None, name: str, size: tuple[int, int]) -> None:
        width, height = size
        shape = (slots_for(size), height, width, 3)
        count = int(np.prod(shape))
        if descriptor is None:
            self._memory = mmap.mmap(-1, count, tagname=name)  # type: ignore[call-arg, unused-ignore]
        else:
            # Either side may be first; the file only ever grows.
            if os.fstat(descriptor).st_size < count:
                os.ftruncate(descriptor, count)
            self._memory = mmap.mmap(descriptor, count)
        self.slots: NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8, count).reshape(shape)
