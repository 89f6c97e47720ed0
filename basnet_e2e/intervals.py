"""Intervals, and the localization of one video: what the stages exchange.

Every stage passes actions in time as these two classes; operations on them that several stages
need are here. Formats of other tools are in :mod:`basnet_e2e.interchange`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.errors import BasnetError

SECOND_DECIMALS = 3
SCORE_DECIMALS = 6
KEEP = ("best", "all")
# What a result records if the model was trained on known times of this very video.
TRAINED = "trained_on_its_times"
# A proposal's score is its contrast with its surroundings plus at most 0.2 (gamma) for its class:
# below that, it does not stand out from them at all.
MIN_SCORE = 0.2
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An action in time.

    Attributes:
        label: class name.
        start: seconds of the original file.
        end: seconds of the original file.
        score: rank among detections, higher is more confident; 1 for annotated intervals.
    """

    label: str
    start: float
    end: float
    score: float = 1.0

    @property
    def length(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    def iou(self, other: "Interval") -> float:
        """Temporal intersection over union with another interval, whatever the labels.

        >>> Interval("dive", 2, 6).iou(Interval("dive", 4, 8))
        0.3333333333333333
        >>> Interval("dive", 2, 4).iou(Interval("dive", 4, 8))
        0.0
        """
        return float(temporal_iou(self.start, self.end, other.start, other.end))

    def overlaps(self, other: "Interval") -> bool:
        """Whether both share time; intervals that touch do not.

        >>> Interval("dive", 2, 4).overlaps(Interval("jump", 4, 8))
        False
        """
        return self.start < other.end and other.start < self.end

    def clip(self, duration: float) -> "Interval":
        """The part of the interval within [0, duration].

        >>> Interval("dive", -1.0, 70.0).clip(61.4)
        Interval(label='dive', start=0.0, end=61.4, score=1.0)
        """
        start, end = (min(max(time, 0.0), duration) for time in (self.start, self.end))
        return replace(self, start=start, end=end)


@dataclass(frozen=True)
class Localization:
    """Intervals found in one video.

    Attributes:
        video: id of the video.
        file: name of the video or feature file that was read.
        duration: seconds.
        model: name of the model that was applied.
        classes: video-level score of each class.
        intervals: highest score first.
        made: what tells this result from another of the same video: how intervals were kept
            (``keep``, ``min_score``, ``min_length``), digests of input and model. Empty if
            unknown.
    """

    video: str
    file: str
    duration: float
    model: str
    classes: dict[str, float] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON object: seconds with 3 decimals within [0, duration], highest score first.

        An interval that is shorter than the written precision is left out.
        """
        return {
            "video": self.video,
            "file": self.file,
            "duration": round(float(self.duration), SECOND_DECIMALS),
            "model": self.model,
            "classes": {
                name: round(float(score), SCORE_DECIMALS) for name, score in self.classes.items()
            },
            "intervals": [
                asdict(found) for found in written_intervals(self.intervals, self.duration)
            ],
            **({"made": self.made} if self.made else {}),
        }


@dataclass(frozen=True)
class Failure:
    """A video that gave no result, and why."""

    video: str
    file: str = ""
    error: str = ""

    def to_json(self) -> dict[str, str]:
        """One JSON object."""
        return asdict(self)


def temporal_iou(
    start: Any, end: Any, other_start: Any, other_end: Any, extra: float = 0.0
) -> Floats:
    """Temporal intersection over union of intervals, elementwise on arrays that broadcast.

    Args:
        start: seconds.
        end: seconds.
        other_start: seconds.
        other_end: seconds.
        extra: added to every length and overlap (the released code of BaS-Net adds 1, as for
            pixels).

    Returns:
        Values in [0, 1]; 0 if an interval is empty or reversed.

    >>> temporal_iou(0.0, 4.0, [0.0, 2.0, 5.0], [4.0, 6.0, 6.0]).tolist()
    [1.0, 0.3333333333333333, 0.0]
    """
    start, end, other_start, other_end = (
        np.asarray(times, np.float64) for times in (start, end, other_start, other_end)
    )
    shared = np.minimum(end, other_end) - np.maximum(start, other_start) + extra
    shared = np.maximum(shared, 0.0)
    union = (end - start) + (other_end - other_start) + 2 * extra - shared
    valid = (shared > 0) & (end - start + extra > 0) & (other_end - other_start + extra > 0)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=valid))


def by_score(intervals: Iterable[Interval]) -> list[Interval]:
    """Highest score first, input order on ties.

    >>> [found.label for found in by_score([Interval("a", 0, 1, 0.2), Interval("b", 0, 1, 0.9)])]
    ['b', 'a']
    """
    return sorted(intervals, key=lambda found: -found.score)


def keep_best(
    intervals: Sequence[Interval], min_score: float | None = None, min_length: float = 0.0
) -> list[Interval]:
    """The intervals a person wants to see: no two of one class overlap.

    Greedy by score (input order on ties): an interval is kept unless it overlaps one of its class
    that was kept before it. Intervals below ``min_score``, shorter than ``min_length`` seconds or
    empty are left out first, so that they hide nothing. Touching intervals do not overlap.

    Returns:
        The kept intervals, highest score first.

    >>> found = [Interval("dive", 0, 4, 0.9), Interval("dive", 3, 6, 0.5), Interval("dive", 6, 8)]
    >>> [(one.start, one.end) for one in keep_best(found)]
    [(6, 8), (0, 4)]
    """
    kept: list[Interval] = []
    for found in by_score(intervals):
        too_weak = min_score is not None and found.score < min_score
        if too_weak or found.length < min_length or found.length <= 0:
            continue
        hidden = any(other.label == found.label and found.overlaps(other) for other in kept)
        if not hidden:
            kept.append(found)
    return kept


def written_intervals(intervals: Sequence[Interval], duration: float) -> list[Interval]:
    """Intervals as every output has them.

    Start and end are rounded to 3 decimals and clipped to [0, duration]; what is then empty is
    dropped. Order: score descending, then input order.

    >>> written_intervals([Interval("dive", 1.23456, 9.0, 0.5), Interval("dive", 7.5, 8.0)], 7.5)
    [Interval(label='dive', start=1.235, end=7.5, score=0.5)]
    """
    limit = round(float(duration), SECOND_DECIMALS)
    rounded = (
        Interval(
            found.label,
            round(float(found.start), SECOND_DECIMALS),
            round(float(found.end), SECOND_DECIMALS),
            round(float(found.score), SCORE_DECIMALS),
        ).clip(limit)
        for found in intervals
    )
    return by_score(found for found in rounded if found.length > 0)


@dataclass(frozen=True)
class Selection:
    """Which of the proposals a result holds.

    Attributes:
        keep: ``best`` leaves no overlap within a class; ``all`` keeps every proposal.
        min_score: lowest score; None is 0.2 for ``best`` and no limit for ``all``.
        min_length: shortest interval in seconds.
    """

    keep: str = "best"
    min_score: float | None = None
    min_length: float = 0.0

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise BasnetError(f"keep is one of {', '.join(KEEP)}, not {self.keep!r}")

    @property
    def threshold(self) -> float | None:
        """Lowest score that is kept."""
        if self.min_score is None and self.keep == "best":
            return MIN_SCORE
        return self.min_score

    def to_json(self) -> dict[str, Any]:
        """What a result records about it."""
        return {"keep": self.keep, "min_score": self.threshold, "min_length": self.min_length}

    def of(self, result: Localization) -> Localization:
        """The result with the intervals that are kept."""
        if self.keep == "best":
            kept = keep_best(result.intervals, self.threshold, self.min_length)
        else:
            kept = [
                found
                for found in result.intervals
                if found.length >= self.min_length
                and (self.threshold is None or found.score >= self.threshold)
            ]
        return replace(result, intervals=kept, made=self.to_json() | result.made)
