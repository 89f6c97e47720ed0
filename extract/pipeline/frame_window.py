"""What the snippets at hand need of a video, and no more: memory stays bounded."""

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.pipeline.snippets import SnippetGrid
from extract.pipeline.task_pool import Task
from extract.video.clock import FrameRate

# Is shown each grid frame on its way: seconds and ``[H, W, 3] uint8``.
Watch = Callable[[float, NDArray[np.uint8]], None]


class Maker(Protocol):
    """What brings frames to the size that flow and networks see."""

    def slab(self, frame: NDArray[np.uint8]) -> int:
        """How many frames like this one are made into pictures at a time."""

    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        """The pictures of frames of one size."""


class Pictures(Protocol):
    """An opened video, in this process or in another."""

    path: str

    def frames(self, fps: FrameRate, first: int = 0) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Times and pictures of the grid frames from ``first`` on."""


class Field(NamedTuple):
    """A flow field that is computed or will be.

    Attributes:
        run: gives consecutive fields, to be had by index.
        place: which of them it is.
    """

    run: Task[Any]
    place: int


class Window:
    """Resized grid frames and cropped flow fields that the next snippets still need.

    Attributes:
        flow: fields by number.

    Args:
        clip: the video.
        frames: grid frames in all.
        maker: makes pictures of frames.
        grid: how the video is cut into snippets.
        wanted: numbers of the snippets that are wanted, ascending.
        watch: is shown each grid frame on its way.
    """

    def __init__(
        self,
        clip: Pictures,
        frames: int,
        maker: Maker,
        grid: SnippetGrid,
        wanted: Sequence[int],
        watch: "Watch | None" = None,
    ) -> None:
        self.flow: dict[int, Field] = {}
        self._pictures: dict[int, Any] = {}
        self._maker = maker
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

    def picture(self, n: int) -> Any:
        """The picture of grid frame ``n``, in the size that the backbone asks for."""
        while n not in self._pictures:
            self._read(n)
        return self._pictures[n]

    def _read(self, n: int) -> None:
        """Make pictures of the next frames that are needed, in search of frame ``n``."""
        frames: dict[int, NDArray[np.uint8]] = {}
        for index, frame in self._source:
            if self._needed(index):
                frames[index] = frame
                if len(frames) >= self._maker.slab(frame):
                    break
        if not frames:
            raise VideoError(
                f"{self._clip.path}: decoding ended before frame {n} of {self._frames}; "
                "the file changed while it was read?"
            )
        made = self._maker.pictures(list(frames.values()))
        self._pictures.update(zip(frames, made, strict=True))

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
