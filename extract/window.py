"""What the snippets at hand need of a video, and no more: memory stays bounded."""

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.lanes import Task
from extract.snippets import SnippetGrid
from extract.video.clock import FrameRate

# Is shown each grid frame on its way: seconds and ``[H, W, 3] uint8``.
Watch = Callable[[float, NDArray[np.uint8]], None]
Resizer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class Pictures(Protocol):
    """An opened video, in this process or in another."""

    path: str

    def frames(self, fps: FrameRate, first: int = 0) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Times and pictures of the grid frames from ``first`` on."""


class Field(NamedTuple):
    """A flow field that is computed or will be.

    Attributes:
        run: gives consecutive fields ``[N, 2, crop, crop] float32``.
        place: which of them it is.
    """

    run: Task[NDArray[np.float32]]
    place: int


class Window:
    """Resized grid frames and cropped flow fields that the next snippets still need.

    Attributes:
        flow: fields by number.

    Args:
        clip: the video.
        frames: grid frames in all.
        resize: brings a frame to the size that flow and networks see.
        grid: how the video is cut into snippets.
        wanted: numbers of the snippets that are wanted, ascending.
        watch: is shown each grid frame on its way.
    """

    def __init__(
        self,
        clip: Pictures,
        frames: int,
        resize: Resizer,
        grid: SnippetGrid,
        wanted: Sequence[int],
        watch: "Watch | None" = None,
    ) -> None:
        self.flow: dict[int, Field] = {}
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        self._resize = resize
        self._length = grid.length
        self._starts = [row * grid.stride for row in wanted]
        # A snippet that begins with the last frame repeats the field before it.
        begin = max(0, min(self._starts[0], frames - 2))
        self._source = enumerate(_watched(clip.frames(grid.fps, begin), watch), begin)
        self._keep_from = begin
        self._clip = clip
        # The last field is repeated as the last frame is, and needs the frame before it too.
        self._padding_from = frames - 2
        self._frames = frames

    def picture(self, n: int) -> NDArray[np.uint8]:
        """Grid frame ``n``, ``[H, W, 3] uint8`` resized as the backbone asks."""
        while n not in self._pictures:
            index, frame = next(self._source, (-1, None))
            if frame is None:
                raise VideoError(
                    f"{self._clip.path}: decoding ended before frame {n} of {self._frames}; "
                    "the file changed while it was read?"
                )
            if self._needed(index):
                self._pictures[index] = self._resize(frame)
        return self._pictures[n]

    def _needed(self, index: int) -> bool:
        """Whether a snippet to come reads a frame; between snippets far apart lie some for none."""
        if index >= self._padding_from:
            return True
        latest = bisect.bisect_right(self._starts, index) - 1
        if index < self._keep_from or latest < 0:
            return False
        # A snippet's last field reaches one frame past it.
        return index - self._starts[latest] <= self._length

    def forget_before(self, n: int) -> None:
        """Drop what lies before frame ``n``; what is repeated past the end is kept."""
        self._keep_from = min(n, self._padding_from)
        stores: tuple[dict[int, Any], ...] = (self._pictures, self.flow)
        for store in stores:
            for index in [i for i in store if i < self._keep_from]:
                del store[index]


def runs(indices: Sequence[int]) -> Iterator[range]:
    """Consecutive indices as ranges: [3, 4, 7] -> range(3, 5), range(7, 8)."""
    first = 0
    for i in range(1, len(indices) + 1):
        if i == len(indices) or indices[i] != indices[i - 1] + 1:
            yield range(indices[first], indices[i - 1] + 1)
            first = i


def _watched(
    frames: Iterator[tuple[float, NDArray[np.uint8]]], watch: Watch | None
) -> Iterator[NDArray[np.uint8]]:
    """Frames without their times, each shown to ``watch`` first."""
    for time, frame in frames:
        if watch:
            watch(time, frame)
        yield frame
