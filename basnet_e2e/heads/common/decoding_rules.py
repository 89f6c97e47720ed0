"""Rules of reading: what a network sees in a video, and the steps that a head does its own way.

Localization goes from activations to intervals in steps: which classes are sought, which curves are
cut, at which thresholds, into which runs, with which score, and what is suppressed. Every step has
a shared way with settings in ``Reading``; a head puts its own function in place of a step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.intervals import Floats

Ints = NDArray[np.intp]
# Of a head that does not tell background apart, a snippet is background where no action class is
# more active than this.
LEAST_ACTIVE = 0.1


@dataclass(frozen=True)
class Proposals:
    """Intervals of one class, each ``[P]``.

    Attributes:
        start: seconds (rows and their fractions where a network itself proposes).
        end: likewise.
        score: higher is surer.
    """

    start: Floats
    end: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Ints | NDArray[np.bool_]) -> "Proposals":
        """Some of them."""
        return Proposals(self.start[index], self.end[index], self.score[index])

    @classmethod
    def joined(cls, several: Sequence["Proposals"]) -> "Proposals":
        """All of several in their order."""
        return cls(
            *(
                np.concatenate([getattr(one, name) for one in several] or [np.zeros(0)])
                for name in ("start", "end", "score")
            )
        )


@dataclass(frozen=True)
class Seen:
    """What a network says of one video of n rows; C action classes.

    Attributes:
        raw: activation ``[n, C]``, or ``[n, C + 1]`` with a background class in the last column.
        video_scores: ``[C]`` video-level scores.
        foreground: ``[n]`` foreground weights or attention in [0, 1], below .5 where a row is taken
            for background; None where the head has nothing of the kind.
        more: what else the head's own rules read, each ``[n, ...]`` (activations of each stream).
        proposals: what the network proposes by itself, by class, in rows and their fractions;
            these are suppressed and nothing is cut. None where intervals are cut from activations.
    """

    raw: Floats
    video_scores: Floats
    foreground: Floats | None = None
    more: Mapping[str, Floats] = field(default_factory=dict)
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
    """A curve to cut, and the one that its runs are scored on (the same where None); ``[n]``."""

    cut: Floats
    scored: Floats | None = None


@dataclass(frozen=True)
class Cut:
    """Runs of one curve above one threshold.

    Attributes:
        values: ``[S]`` samples of the curve that was cut.
        scored: ``[S]`` samples of the curve to score on.
        first: first sample of each run ``[P]``.
        stop: one past its last.
        threshold: it was cut at.
        class_score: of the video.
    """

    values: Floats
    scored: Floats
    first: Ints
    stop: Ints
    threshold: float
    class_score: float


@dataclass(frozen=True)
class Rules:
    """A head's own steps of reading; None is the shared way.

    The last argument of each is the ``reading`` part of the head's preset, with what the head adds.

    Attributes:
        classes: video scores ``[C]`` to the indices of the classes sought, ascending.
        curves: what was seen and a class to the curves that are cut for it; their proposals are
            pooled before suppression.
        thresholds: samples of a curve ``[S]`` to the thresholds it is cut at.
        runs: samples of a curve and a threshold to first and one past last sample of each run.
        score: a cut to the score of each of its runs ``[P]``.
        suppress: proposals of one class, in seconds, to those that are left, best first.
    """

    classes: Callable[[Floats, Any], Ints] | None = None
    curves: Callable[[Seen, int, Any], Sequence[Curve]] | None = None
    thresholds: Callable[[Floats, Any], Sequence[float]] | None = None
    runs: Callable[[Floats, float, Any], tuple[Ints, Ints]] | None = None
    score: Callable[[Cut, Any], Floats] | None = None
    suppress: Callable[[Proposals, Any], Proposals] | None = None


SHARED = Rules()


def mean_inside(values: Floats, first: Ints, stop: Ints) -> Floats:
    """Mean of samples ``[S]`` within each run ``[P]``."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[stop] - total[first]) / (stop - first))
