"""Borders of intervals where an activation curve is half way down.

An interval that was cut at a low threshold is too long, one cut at a high one too short. Where the
curve is in the middle between the levels within and around the interval, the border lies whatever
the threshold was.
"""

import numpy as np

from basnet_e2e.heads.common.decoding_rules import Floats


def half_height(
    times: Floats, values: Floats, interval: tuple[float, float], reach: float, around: float
) -> tuple[float, float]:
    """Start and end of an interval at half height.

    A border stays where there is no crossing within reach, and both do where nothing would be left
    between them.

    Args:
        times: ``[n]`` seconds, ascending, at which the curve is known; linear between them.
        values: ``[n]`` curve.
        interval: start and end in seconds.
        reach: seconds that a border may move.
        around: seconds before and behind the interval in which the level outside is looked for.
    """
    start, end = interval
    inside = _within(times, values, start, end).max()
    before = _within(times, values, start - around, start).min()
    behind = _within(times, values, end, end + around).min()
    first = _nearest(_rises(times, values, (inside + before) / 2), start, reach)
    last = _nearest(_rises(-times[::-1], values[::-1], (inside + behind) / 2), -end, reach)
    return (first, -last) if first < -last else interval


def _rises(times: Floats, values: Floats, level: float) -> Floats:
    """Where the curve rises to a level."""
    at = np.flatnonzero((values[:-1] < level) & (values[1:] >= level))
    share = (level - values[at]) / (values[at + 1] - values[at])
    return np.asarray(times[at] + share * (times[at + 1] - times[at]))


def _nearest(candidates: Floats, time: float, reach: float) -> float:
    near = candidates[np.abs(candidates - time) <= reach]
    return float(near[np.abs(near - time).argmin()]) if len(near) else time


def _within(times: Floats, values: Floats, low: float, high: float) -> Floats:
    """Values between two times, those at both among them."""
    first, stop = np.searchsorted(times, [low, high])
    return np.concatenate([np.interp([low, high], times, values), values[first:stop]])
