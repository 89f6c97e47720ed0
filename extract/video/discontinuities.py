"""Discontinuities: places where the timestamps of a file start over, or jump ahead by hours.

In a recording joined from several (parts of a transport stream or of a DVD, a receiver that changed
the channel) the clock restarts at every joint. A player shows the parts one after the other, and so
does this package.
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

# Frames that a decoder may hold back for reordering: H.264 and HEVC allow 16, others fewer. Times
# that fall back by less are out of order, not restarted.
MOST_REORDERED = 16
# Seconds that a frame may last; a longer step is an error in the timestamps.
LONGEST_PAUSE = Fraction(3600)


def find_discontinuities(ticks: Sequence[int], time_base: Fraction) -> list[int]:
    """Indices of the frames at which the clock jumps; ``ticks`` are in order of presentation.

    A time falls back by more than frames are ever reordered, or to a time that has occurred since
    the last jump, or it jumps ahead by more than an hour.
    """
    steps = np.diff(np.array(ticks, np.int64))
    farthest = int(LONGEST_PAUSE / time_base)
    if not len(steps) or (steps.min() >= 0 and steps.max() <= farthest):
        return []
    deepest = -MOST_REORDERED * _spacing(ticks)
    found: list[int] = []
    seen = {ticks[0]}
    for k, (before, tick) in enumerate(itertools.pairwise(ticks), start=1):
        step = tick - before
        if step > farthest or step < deepest or (step < 0 and tick in seen):
            found.append(k)
            seen.clear()
        seen.add(tick)
    return found


def close_gaps(ticks: Sequence[int], jumps: Sequence[int]) -> list[int]:
    """Shift each part so that it begins one frame after the previous one ends."""
    spacing, result = _spacing(ticks), list(ticks)
    for begin, end, last in zip(jumps, [*jumps[1:], len(ticks)], [0, *jumps], strict=False):
        shift = max(result[last:begin]) + spacing - ticks[begin]
        result[begin:end] = [tick + shift for tick in ticks[begin:end]]
    return result


def _spacing(ticks: Sequence[int]) -> int:
    """Median step forward, in ticks."""
    steps = np.sort(np.diff(np.array(ticks, np.int64)))
    ahead = steps[steps > 0]
    return int(ahead[len(ahead) // 2]) if len(ahead) else 1
