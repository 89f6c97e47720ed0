"""A head read on snippets closer together than those it was trained on.

A head knows its neighbours at the stride it learnt. Snippets between those therefore are read in
*phases*: all snippets that lie whole strides apart make one sequence, read as a video of its own.
Where a phase lacks a snippet, a row interpolated in time between those that are there stands in for
it; what the head says of such a row is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.dataset import VideoFeatures
from basnet_e2e.heads.rules import Floats, Ints


@dataclass(frozen=True)
class FrameGrid:
    """Where snippets lie on the grid of frames.

    Attributes:
        fps: grid frames per second.
        length: frames of a snippet.
        stride: frames between the snippets that the head was trained on.
    """

    fps: float
    length: int
    stride: int

    def first_frames(self, video: VideoFeatures) -> Ints:
        """Grid frame ``[T]`` at which each row's snippet begins."""
        return np.rint(video.start * self.fps).astype(np.intp)

    def centres(self, first_frames: Ints) -> Floats:
        """Seconds ``[T]`` at the middles of whole snippets."""
        return np.asarray((first_frames + self.length / 2) / self.fps)


@dataclass(frozen=True)
class DenseRows:
    """Rows of one video at any distance from one another.

    Attributes:
        x: ``[n, F] float32``.
        first: ``[n]`` grid frames at which their snippets begin, ascending.
    """

    x: NDArray[np.float32]
    first: Ints

    @classmethod
    def joined(cls, parts: Sequence["DenseRows"]) -> "DenseRows":
        """All rows in order of time; of several at one place the first."""
        first = np.concatenate([part.first for part in parts])
        x = np.concatenate([part.x for part in parts])
        first, kept = np.unique(first, return_index=True)
        return cls(x[kept], first)

    def at(self, frames: Ints) -> NDArray[np.float32]:
        """Rows at other frames ``[m, F]``: those there, else linear between neighbours in time."""
        after = np.clip(np.searchsorted(self.first, frames), 0, len(self.first) - 1)
        before = np.where(self.first[after] <= frames, after, np.maximum(after - 1, 0))
        gap = self.first[after] - self.first[before]
        share = np.where(gap > 0, (frames - self.first[before]) / np.maximum(gap, 1), 0.0)
        share = np.clip(share, 0, 1)[:, None].astype(np.float32)
        return np.asarray(self.x[before] * (1 - share) + self.x[after] * share)
