"""What a network predicts for a video, and the decoding steps that a head can replace.

Localization goes from activations to intervals in steps: which classes are searched, which curves
are cut, at which thresholds, into which runs, with which score, and what is suppressed. Every step
has a default with settings in ``DecodingSettings``; a head may replace a step by its own function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.intervals import Floats

Ints = NDArray[np.intp]
# Without foreground weights and background class, a snippet is background if no action class is
# more active than this.
MIN_ACTIVATION = 0.1


@dataclass(frozen=True)
class Proposals:
    """Intervals of one class, each ``[P]``.

    Attributes:
        start: seconds; rows and their fractions if a network proposes intervals.
        end: likewise.
        score: higher is more confident.
    """

    start: Floats
    end: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Ints | NDArray[np.bool_]) -> "Proposals":
        """The proposals at an index or where a mask is true."""
        return Proposals(self.start[index], self.end[index], self.score[index])

    @classmethod
    def joined(cls, parts: Sequence["Proposals"]) -> "Proposals":
        """All proposals of the parts in order."""

        def joined(name: str) -> Floats:
            return np.concatenate([np.zeros(0), *(getattr(each, name) for each in parts)])

        return cls(joined("start"), joined("end"), joined("score"))


@dataclass(frozen=True)
class Prediction:
    """What a network predicts for one video of n rows; C action classes.

    Attributes:
        raw: activation ``[n, C]``, or ``[n, C + 1]`` with a background class in the last column.
        video_scores: ``[C]`` video-level scores.
        foreground: ``[n]`` foreground weights or attention in [0, 1], below .5 for background; None
            if the head has none.
        extra: what the head's rules need besides, each ``[n, ...]`` (activations of each stream).
        proposals: the network's own proposals by class, in rows and their fractions, to be
            suppressed; None if intervals are cut from activations.
    """

    raw: Floats
    video_scores: Floats
    foreground: Floats | None = None
    extra: Mapping[str, Floats] = field(default_factory=dict)
    proposals: Mapping[int, Proposals] | None = None

    @property
    def classes(self) -> int:
        """Number of action classes C."""
        return len(self.video_scores)

    @property
    def cas(self) -> Floats:
        """``[n, C]`` activation of the action classes."""
        return self.raw[:, : self.classes]


@dataclass(frozen=True)
class Curve:
    """A curve ``[n]`` to cut, and the one to score its runs on (default: the same)."""

    cut: Floats
    scored: Floats | None = None


@dataclass(frozen=True)
class ThresholdedRuns:
    """Runs of one curve above one threshold.

    Attributes:
        values: ``[S]`` samples of the curve that was cut.
        scored: ``[S]`` samples of the curve to score on.
        first: first sample of each run ``[P]``.
        stop: one past its last.
        threshold: at which the curve was cut.
        class_score: of the video.
    """

    values: Floats
    scored: Floats
    first: Ints
    stop: Ints
    threshold: float
    class_score: float


@dataclass(frozen=True)
class DecodingRules:
    """The decoding steps that a head replaces; None is the default.

    The last argument of each is ``preset.decoding``, with the settings that the head adds.

    Attributes:
        classes: video scores ``[C]`` to the indices of the classes to search, ascending.
        curves: prediction and class to the curves that are cut for it; their proposals are
            pooled before suppression.
        thresholds: samples of a curve ``[S]`` to the thresholds it is cut at.
        runs: samples of a curve and a threshold to first and one past last sample of each run.
        score: runs to the score of each ``[P]``.
        suppress: proposals of one class, in seconds, to those that are left, best first.
    """

    classes: Callable[[Floats, Any], Ints] | None = None
    curves: Callable[[Prediction, int, Any], Sequence[Curve]] | None = None
    thresholds: Callable[[Floats, Any], Sequence[float]] | None = None
    runs: Callable[[Floats, float, Any], tuple[Ints, Ints]] | None = None
    score: Callable[[ThresholdedRuns, Any], Floats] | None = None
    suppress: Callable[[Proposals, Any], Proposals] | None = None


DEFAULT_RULES = DecodingRules()


def runs_of(inside: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Runs of true samples ``[S]``: the first of each ``[P]``, and one past its last."""
    changes = np.flatnonzero(np.diff(np.pad(inside, 1).astype(np.int8)))
    return changes[0::2], changes[1::2]


def mean_inside(values: Floats, first: Ints, stop: Ints) -> Floats:
    """Mean of samples ``[S]`` within each run ``[P]``."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[stop] - total[first]) / (stop - first))
