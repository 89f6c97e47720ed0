"""Borders of intervals where an activation curve is at half height.

An interval cut at a low threshold is too long, one cut at a high threshold too short. The point
halfway between the levels inside and outside the interval does not depend on the threshold.
"""

import numpy as np

from basnet_e2e.heads.common.decoding_rules import Floats


def half_height(
    times: Floats, values: Floats, interval: tuple[float, float], reach: float, around: float
) -> tuple[float, float]:
    """Start and end of an interval at half height.

    A border without a crossing within reach does not move; neither does if the interval would
    become empty.

    Args:
        times: ``[n]`` seconds of the values, ascending.
        values: ``[n]`` curve, linear between these times.
        interval: start and end in seconds.
        reach: seconds that a border may move.
        around: seconds before and after the interval in which to measure the level outside.
    """
    start, end = interval
    inside = _within(times, values, start, end).max()
    before = _within(times, values, start - around, start).min()
    after = _within(times, values, end, end + around).min()
    first = _nearest(_rises(times, values, (inside + before) / 2), start, reach)
    last = _nearest(_rises(-times[::-1], values[::-1], (inside + after) / 2), -end, reach)
    return (first, -last) if first < -last else interval


def _rises(times: Floats, values: Floats, level: float) -> Floats:
    """Times at which the curve rises to a level."""
    at = np.flatnonzero((values[:-1] < level) & (values[1:] >= level))
    share = (level - values[at]) / (values[at + 1] - values[at])
    return np.asarray(times[at] + share * (times[at + 1] - times[at]))


def _nearest(candidates: Floats, time: float, reach: float) -> float:
    near = candidates[np.abs(candidates - time) <= reach]
    return float(near[np.abs(near - time).argmin()]) if len(near) else time


def _within(times: Floats, values: Floats, low: float, high: float) -> Floats:
    """Values between two times, including those at both."""
    first, stop = np.searchsorted(times, [low, high])
    return np.concatenate([np.interp([low, high], times, values), values[first:stop]])
