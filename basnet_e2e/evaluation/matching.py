"""Match predictions with ground truth, as arrays.

The protocol, per class: predictions by score descending, input order on ties; each takes the
annotated interval of its video with the highest temporal IoU among those that are not yet taken
and reach the threshold, else it is a false positive.

The protocol does not say which of two intervals of equal IoU comes first, as when a long prediction
covers two actions of equal length (the ActivityNet toolkit uses an unstable sort). Here it is the
one whose start or end is nearest to the prediction's, then the one annotated first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.intervals import Floats, Interval, temporal_iou

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Intervals:
    """Intervals of many videos, one array entry each.

    Attributes:
        label: ``[N]`` index of the class.
        video: ``[N]`` index of the video.
        start: ``[N]`` seconds.
        end: ``[N]`` seconds.
        score: ``[N]``.
    """

    label: Ints
    video: Ints
    start: Floats
    end: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Ints | Flags) -> "Intervals":
        """The chosen entries."""
        return Intervals(
            self.label[rows], self.video[rows], self.start[rows], self.end[rows], self.score[rows]
        )

    @property
    def length(self) -> Floats:
        """``[N]`` seconds."""
        return self.end - self.start


def as_arrays(
    videos: Mapping[str, Sequence[Interval]],
    classes: Mapping[str, int],
    numbers: Mapping[str, int],
) -> Intervals:
    """Intervals of the known classes, in input order.

    Args:
        videos: video -> intervals.
        classes: class -> index; intervals of other classes are left out.
        numbers: video -> index.
    """
    rows = [
        [found for found in intervals if found.label in classes] for intervals in videos.values()
    ]
    count = [len(found) for found in rows]
    flat = [found for part in rows for found in part]
    return Intervals(
        label=np.array([classes[found.label] for found in flat], np.int64),
        video=np.repeat(np.array([numbers[name] for name in videos], np.int64), count),
        start=np.array([found.start for found in flat], np.float64),
        end=np.array([found.end for found in flat], np.float64),
        score=np.array([found.score for found in flat], np.float64),
    )


@dataclass(frozen=True)
class Pairs:
    """Prediction and ground truth of one video that overlap, ordered by prediction, then IoU.

    Attributes:
        found: ``[N]`` row of the prediction.
        truth: ``[N]`` row of the annotated interval.
        iou: ``[N]`` temporal intersection over union, above zero.
    """

    found: Ints
    truth: Ints
    iou: Floats

    def above(self, threshold: float) -> "Pairs":
        """Pairs whose IoU reaches the threshold."""
        rows = self.iou >= threshold
        return Pairs(self.found[rows], self.truth[rows], self.iou[rows])


def overlaps(found: Intervals, truth: Intervals, *, same_label: bool) -> Pairs:
    """All overlapping pairs within a video, of equal or (``same_label=False``) any class."""
    videos = 1 + int(max(found.video.max(initial=0), truth.video.max(initial=0)))
    found_key = found.video + videos * found.label * same_label
    truth_key = truth.video + videos * truth.label * same_label
    order = np.argsort(truth_key, kind="stable")
    first = np.searchsorted(truth_key[order], found_key, "left")
    counts = np.searchsorted(truth_key[order], found_key, "right") - first
    rows = np.repeat(np.arange(len(found)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = order[np.repeat(first, counts) + within]
    iou = temporal_iou(found.start[rows], found.end[rows], truth.start[columns], truth.end[columns])
    kept = iou > 0
    rows, columns, iou = rows[kept], columns[kept], iou[kept]
    gap = np.minimum(
        np.abs(found.start[rows] - truth.start[columns]),
        np.abs(found.end[rows] - truth.end[columns]),
    )
    ranked = np.lexsort((columns, gap, -iou, rows))
    return Pairs(rows[ranked], columns[ranked], iou[ranked])


def assign(pairs: Pairs, found: int, truth: int) -> Ints:
    """Match each prediction with its best free ground truth, all predictions at once.

    Matching in order of rank gives the one stable matching in which every annotated interval
    prefers the prediction of lower rank. So (Gale and Shapley, 1962) all predictions propose to
    their best interval together, each interval keeps the one of lowest rank, and rejected ones
    propose to their next best, until none has an interval left.

    Args:
        pairs: admissible pairs, rows of predictions being their rank.
        found: number of predictions.
        truth: number of annotated intervals.

    Returns:
        ``[found]`` row of the interval taken, -1 for none.
    """
    holder = np.full(truth, found)
    cursor = np.flatnonzero(np.diff(pairs.found, prepend=-1))
    last = np.append(cursor[1:], len(pairs.found))
    proposing = pairs.found[cursor]
    place = np.full(found + 1, -1)
    place[proposing] = np.arange(len(proposing))
    active = np.arange(len(proposing))
    while len(active):
        wanted = pairs.truth[cursor[active]]
        before = holder[wanted]
        np.minimum.at(holder, wanted, proposing[active])
        won = holder[wanted] == proposing[active]
        displaced = place[before[won & (before < found)]]
        rejected = np.concatenate([active[~won], displaced])
        cursor[rejected] += 1
        active = rejected[cursor[rejected] < last[rejected]]
    taken = np.full(found, -1)
    held = np.flatnonzero(holder < found)
    taken[holder[held]] = held
    return taken
