"""Where the content of a video changes, finer than its snippets.

A snippet that lies across a change shows a mixture of what is before and behind: sliding over it,
features go from the one to the other in proportion to the share of the snippet that lies behind.
So each time near a border gives a prediction of all snippets around it, up to two unknown
feature vectors, and the time whose prediction explains most of their variation is the change. It
needs no snippet closer to the others; with some around the border it becomes surer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.common.decoding_rules import Floats

STEPS = 16  # times that are tried in the length of a snippet: for 16 frames, each frame
# Sum of squares by which the shares of the snippets must spread, so that both sides are seen.
LEAST_SPREAD = 0.15
# Mean square distance of the snippets from their mean below which they are one picture but for
# rounding.
LEAST_VARIATION = 1e-9


@dataclass(frozen=True)
class Snippets:
    """Features of snippets at any distance from one another.

    Attributes:
        x: ``[n, F]`` features of length 1: what is in the picture, not how much of it.
        start: ``[n]`` seconds, ascending.
        end: ``[n]`` seconds.
    """

    x: NDArray[np.float32]
    start: Floats
    end: Floats

    @classmethod
    def of(cls, videos: Sequence[VideoFeatures]) -> "Snippets":
        """Rows of one video from one or several passes, in order; of two at one place the first."""
        start = np.concatenate([video.start for video in videos])
        end = np.concatenate([video.end for video in videos])
        _, kept = np.unique(np.round(start, 6), return_index=True)
        x = np.concatenate([video.x for video in videos])[kept]
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return cls(x / np.maximum(length, np.finfo(np.float32).tiny), start[kept], end[kept])

    @property
    def length(self) -> float:
        """Seconds of a snippet; those at the end of a video may be cut short."""
        return float(np.median(self.end - self.start))

    def around(self, time: float, outlook: float) -> "Snippets":
        """Those whose middles lie within ``outlook`` seconds of a time."""
        middle = (self.start + self.end) / 2
        first, stop = np.searchsorted(middle, [time - outlook, time + outlook])
        return Snippets(self.x[first:stop], self.start[first:stop], self.end[first:stop])


def change_near(snippets: Snippets, time: float, reach: float, outlook: float) -> float:
    """The time of the clearest change near another; that other where nothing changes.

    Args:
        snippets: of the whole video.
        time: seconds.
        reach: seconds on both sides within which the change is sought.
        outlook: seconds on both sides within which snippets are to be explained.
    """
    near = snippets.around(time, outlook)
    step = snippets.length / STEPS
    tried = time + step * np.arange(-int(reach / step), int(reach / step) + 1, dtype=np.float64)
    gains = explained(near, tried)
    return float(tried[gains.argmax()]) if gains.any() else time


def explained(snippets: Snippets, times: Floats) -> Floats:
    """Share of the snippets' variation that a single change explains.

    Args:
        snippets: around the change, n of them.
        times: ``[m]`` seconds that are tried.

    Returns:
        ``[m]`` in [0, 1]: of the best fit of two feature vectors, before and behind.
    """
    if len(snippets.x) < 2:
        return np.zeros(len(times))
    x = snippets.x - snippets.x.mean(axis=0)
    length = np.maximum(snippets.end - snippets.start, np.finfo(float).tiny)
    behind = np.clip((snippets.end - times[:, None]) / length, 0, 1)
    behind -= behind.mean(axis=1, keepdims=True)
    spread = (behind**2).sum(axis=1)
    total = float((x**2).sum())
    seen = spread > LEAST_SPREAD
    if total <= LEAST_VARIATION * len(x) or not seen.any():
        return np.zeros(len(times))
    shifts = ((behind @ x) ** 2).sum(axis=1)
    return np.asarray(np.where(seen, shifts / np.where(seen, spread, 1.0) / total, 0.0))
