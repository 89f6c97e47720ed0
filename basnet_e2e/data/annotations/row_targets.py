"""What known times say of the rows of a video: which class, with what weight, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.annotations.known_times import Times
from basnet_e2e.intervals import Floats, Interval


@dataclass(frozen=True)
class RowTargets:
    """Targets of the n rows of one video; C action classes.

    Attributes:
        share: ``[n, C + 1] float32``, background last: how much of a row each class covers. Where
            classes overlap they share the row alike.
        weight: ``[n] float32``: 1 where a row is one thing, less where a border runs through it
            (0 in its middle), 0 where nothing is known.
        complete: whether every row without a class was looked at; with points alone the rows
            between them may be anything.
    """

    share: NDArray[np.float32]
    weight: NDArray[np.float32]
    complete: bool


def row_targets(times: Times, edges: Floats, classes: Sequence[str]) -> RowTargets:
    """Targets of the rows between ``edges``.

    A row's weight is ``|2 c - 1|`` times the share of the row that was looked at, where c is the
    share that any action covers. The row of a point belongs to its class alone. With points alone,
    rows without a point have weight 0; beside intervals, the rows between a point and its known
    neighbours have.

    Args:
        times: what is known of the video.
        edges: ``[n + 1]`` seconds between rows, ascending.
        classes: names of the columns.

    Raises:
        KeyError: a class is not in ``classes``.
    """
    column = {name: index for index, name in enumerate(classes)}
    rows = len(edges) - 1
    covered = np.zeros((rows, len(classes)))
    for one in times.intervals:
        index = column[one.label]
        covered[:, index] = np.maximum(covered[:, index], _overlap(edges, one))
    action = _overlap(edges, *times.intervals)
    looked_at = 1 - _overlap(edges, *times.unknown)
    weight = np.abs(2 * action - 1) * looked_at if times.complete else np.zeros(rows)
    for one in times.points:
        row = _row_of(edges, one.start)
        if times.complete:
            low, high = _around(edges, row, times)
            weight[low:high] = np.where(action[low:high] > 0, weight[low:high], 0)
    for one in times.points:
        row = _row_of(edges, one.start)
        covered[row, column[one.label]] = action[row] = weight[row] = 1
    total = covered.sum(axis=1, keepdims=True)
    classes_share = covered * (action[:, None] / np.where(total > 0, total, 1))
    share = np.column_stack([classes_share, 1 - action])
    return RowTargets(share.astype(np.float32), weight.astype(np.float32), times.complete)


def _row_of(edges: Floats, time: float) -> int:
    """The row that a moment falls into; the first or last one outside the video."""
    return int(np.clip(np.searchsorted(edges, time, side="right") - 1, 0, len(edges) - 2))


def _around(edges: Floats, row: int, times: Times) -> tuple[int, int]:
    """Rows between the interval or point before a row and the one after it."""
    known = [(_row_of(edges, one.start),) * 2 for one in times.points]
    known += [
        (_row_of(edges, one.start), int(np.searchsorted(edges, one.end)) - 1)
        for one in times.intervals
    ]
    low = max((last + 1 for _, last in known if last < row), default=0)
    high = min((first for first, _ in known if first > row), default=len(edges) - 1)
    return low, high


def _overlap(edges: Floats, *stretches: Interval) -> Floats:
    """Share of each row that any of the stretches covers, ``[n]``; overlaps count once."""
    covered = np.zeros(len(edges) - 1)
    reached = -np.inf
    for one in sorted(stretches, key=lambda one: one.start):
        start = max(one.start, reached)
        if one.end > start:
            low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], one.end)
            covered += np.maximum(high - low, 0)
            reached = one.end
    return covered / np.maximum(np.diff(edges), 1e-9)
