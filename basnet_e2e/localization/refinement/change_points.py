"""Where the content of a video changes, finer than its snippets.

A snippet across a change shows a mixture of the content before and after it: its features are the
mean of both, weighted by the share of the snippet on each side. So each time near a border predicts
all snippets around it, up to two unknown feature vectors, and the time whose prediction explains
most of their variation is the change. Extra snippets around the border make the estimate surer, but
are not needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.common.decoding_rules import Floats

STEPS = 16  # times tried per snippet length: each frame of a snippet of 16
# Least sum of squared deviations of the snippets' shares, so that they cover both sides.
LEAST_SPREAD = 0.15
# Below this mean squared distance from their mean, snippets differ by rounding alone.
LEAST_VARIATION = 1e-9


@dataclass(frozen=True)
class Snippets:
    """Features of snippets at any distance from one another.

    Attributes:
        x: ``[n, F]`` features scaled to length 1, so that brightness does not count.
        start: ``[n]`` seconds, ascending.
        end: ``[n]`` seconds.
    """

    x: NDArray[np.float32]
    start: Floats
    end: Floats

    @classmethod
    def of(cls, videos: Sequence[VideoFeatures]) -> "Snippets":
        """Rows of one video from several passes by start time; of equal starts the first."""
        start = np.concatenate([video.start for video in videos])
        end = np.concatenate([video.end for video in videos])
        _, kept = np.unique(np.round(start, 6), return_index=True)
        x = np.concatenate([video.x for video in videos])[kept]
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return cls(x / np.maximum(length, np.finfo(np.float32).tiny), start[kept], end[kept])

    @property
    def length(self) -> float:
        """Median seconds of a snippet; the last ones of a video may be shorter."""
        return float(np.median(self.end - self.start))

    def around(self, time: float, context: float) -> "Snippets":
        """Snippets whose centres are within ``context`` seconds of a time."""
        centres = (self.start + self.end) / 2
        first, stop = np.searchsorted(centres, [time - context, time + context])
        return Snippets(self.x[first:stop], self.start[first:stop], self.end[first:stop])


def change_near(snippets: Snippets, time: float, reach: float, context: float) -> float:
    """The time of the clearest change near a time, or that time if nothing changes.

    Args:
        snippets: of the whole video.
        time: seconds.
        reach: seconds before and after within which to look for the change.
        context: seconds before and after within which to explain the snippets.
    """
    near = snippets.around(time, context)
    step = snippets.length / STEPS
    tried = time + step * np.arange(-int(reach / step), int(reach / step) + 1, dtype=np.float64)
    gains = explained(near, tried)
    return float(tried[gains.argmax()]) if gains.any() else time


def explained(snippets: Snippets, times: Floats) -> Floats:
    """Share of the snippets' variation that a single change explains.

    Args:
        snippets: around the change, n of them.
        times: ``[m]`` seconds to try.

    Returns:
        ``[m]`` in [0, 1], for the best fit of two feature vectors, before and after.
    """
    if len(snippets.x) < 2:
        return np.zeros(len(times))
    x = snippets.x - snippets.x.mean(axis=0)
    length = np.maximum(snippets.end - snippets.start, np.finfo(float).tiny)
    after = np.clip((snippets.end - times[:, None]) / length, 0, 1)
    after -= after.mean(axis=1, keepdims=True)
    spread = (after**2).sum(axis=1)
    total = float((x**2).sum())
    covered = spread > LEAST_SPREAD
    if total <= LEAST_VARIATION * len(x) or not covered.any():
        return np.zeros(len(times))
    shifts = ((after @ x) ** 2).sum(axis=1)
    return np.asarray(np.where(covered, shifts / np.where(covered, spread, 1.0) / total, 0.0))
