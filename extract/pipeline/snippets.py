"""Which grid frames and flow fields make up each snippet, and which seconds it covers."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError


@dataclass(frozen=True)
class SnippetGrid:
    """How a video on an even grid of frames is cut into snippets.

    Attributes:
        fps: grid frames per second, exact.
        length: frames of one snippet.
        stride: grid frames from one snippet's start to the next one's.
    """

    fps: Fraction = Fraction(25)
    length: int = 16
    stride: int = 16

    def __post_init__(self) -> None:
        for name in ("fps", "length", "stride"):
            if getattr(self, name) <= 0:
                raise ExtractError(f"{name} must be above 0, got {getattr(self, name)}")


def snippet_count(frames: int, length: int, stride: int) -> int:
    """Number of snippets of a video with ``frames`` grid frames.

    One if the video fits in a snippet, else ``ceil((frames - length) / stride) + 1``: the last
    snippet is filled up by repeating the last frame. With a stride above the length, no snippet
    begins after the last frame.

    Raises:
        ExtractError: the video has no frame.
    """
    if frames <= 0:
        raise ExtractError("a video without frames has no snippets")
    if frames <= length:
        return 1
    return min(-(-(frames - length) // stride) + 1, -(-frames // stride))


def snippet_times(
    count: int, grid: SnippetGrid, duration: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds at which each snippet begins and ends.

    Args:
        count: number of snippets T.
        grid: how the video is cut.
        duration: seconds; no snippet ends later.

    Returns:
        ``start [T]`` and ``end [T]``, float64 seconds: row i covers ``[i * stride / fps,
        (i * stride + length) / fps)``, clipped to the duration.
    """
    starts = [i * grid.stride / grid.fps for i in range(count)]
    start = np.array([float(time) for time in starts], np.float64)
    end = np.array([float(time + grid.length / grid.fps) for time in starts], np.float64)
    return start, np.minimum(end, duration)


def frame_rows(i: int, frames: int, grid: SnippetGrid) -> list[int]:
    """Indices of the ``length`` grid frames of snippet ``i``; missing ones repeat the last frame.

    Args:
        i: number of the snippet.
        frames: grid frames N of the video, at least 1.
        grid: how the video is cut.
    """
    first = i * grid.stride
    return [min(n, frames - 1) for n in range(first, first + grid.length)]


def flow_rows(i: int, frames: int, grid: SnippetGrid) -> list[int]:
    """`frame_rows` of the N - 1 flow fields: field n is the motion from grid frame n to n + 1.

    Empty for a video of one frame: it shows no motion, and its flow is zero.
    """
    return frame_rows(i, frames - 1, grid) if frames > 1 else []
