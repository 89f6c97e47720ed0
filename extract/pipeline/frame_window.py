"""The pictures and flow fields that the next snippets need, in bounded memory."""

import bisect
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.pipeline.snippets import SnippetGrid

if TYPE_CHECKING:
    from extract.pipeline.frame_steps import FrameSteps
    from extract.video.clip import Clip
    from extract.video.isolation.isolated_clip import IsolatedClip

    OpenVideo = Clip | IsolatedClip

OnFrame = Callable[[float, NDArray[np.uint8]], None]
"""Called with each grid frame: seconds and ``[H, W, 3] uint8``."""
Field = tuple[Future[Any], int]
"""A flow field, possibly not yet computed: a task for consecutive fields, and its index there."""


class FrameWindow:
    """Resized grid frames and cropped flow fields that the next snippets still need.

    Attributes:
        flow: fields by number.

    Args:
        clip: the video.
        frames: number of grid frames.
        steps: makes pictures of frames.
        grid: how the video is cut into snippets.
        wanted: numbers of the snippets to compute, ascending.
        on_frame: called with each grid frame, in order.
    """

    def __init__(
        self,
        clip: "OpenVideo",
        frames: int,
        steps: "FrameSteps",
        grid: SnippetGrid,
        wanted: Sequence[int],
        on_frame: OnFrame | None = None,
    ) -> None:
        self.flow: dict[int, Field] = {}
        self._pictures: dict[int, Any] = {}
        self._steps = steps
        self._length = grid.length
        self._starts = [row * grid.stride for row in wanted]
        # A snippet that begins with the last frame repeats the field before it.
        begin = max(0, min(self._starts[0], frames - 2))
        self._unread = enumerate(clip.frames(grid.fps, begin), begin)
        self._on_frame = on_frame
        self._keep_from = begin
        self._clip = clip
        # The last field is repeated as the last frame is, and needs the frame before it too.
        self._padding_from = frames - 2
        self._frames = frames

    def picture(self, n: int) -> Any:
        """The picture of grid frame ``n``, in the backbone's size."""
        while n not in self._pictures:
            self._read(n)
        return self._pictures[n]

    def _read(self, n: int) -> None:
        """Make pictures of the next needed frames, on the way to frame ``n``."""
        frames: dict[int, NDArray[np.uint8]] = {}
        for index, (time, frame) in self._unread:
            if self._on_frame:
                self._on_frame(time, frame)
            if self._needed(index):
                frames[index] = frame
                if len(frames) >= self._steps.chunk_length(frame):
                    break
        if not frames:
            raise VideoError(
                f"{self._clip.path}: decoding ended before frame {n} of {self._frames}; "
                "the file changed while it was read?"
            )
        made = self._steps.pictures(list(frames.values()))
        self._pictures.update(zip(frames, made, strict=True))

    def _needed(self, index: int) -> bool:
        """Whether a snippet reads a frame; snippets may leave gaps between them."""
        if index >= self._padding_from:
            return True
        latest = bisect.bisect_right(self._starts, index) - 1
        if index < self._keep_from or latest < 0:
            return False
        # A snippet's last field reaches one frame past it.
        return index - self._starts[latest] <= self._length

    def forget_before(self, n: int) -> None:
        """Drop everything before frame ``n``, except what is repeated past the end."""
        self._keep_from = min(n, self._padding_from)
        stores: tuple[dict[int, Any], ...] = (self._pictures, self.flow)
        for store in stores:
            for index in [i for i in store if i < self._keep_from]:
                del store[index]
