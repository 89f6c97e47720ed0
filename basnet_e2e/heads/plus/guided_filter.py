"""Means over time that do not cross a change of the features.

Time is stretched by how much the features change from row to row, as in the domain transform of
edge-preserving image filters: rows of one shot or one movement come to lie close together, rows on
both sides of a change far apart. A mean with weights that fall with the stretched distance then
calms the activation inside an action and leaves its borders sharp.
"""

import numpy as np

from basnet_e2e.heads.common.decoding_rules import Floats

# Share of a full change that each row adds by itself, so that the mean stays local where nothing
# changes at all.
PER_ROW = 0.02
SMALLEST = 1e-9  # norm below which a row has no direction


def stretched_time(x: Floats) -> Floats:
    """Place of each row on the stretched axis: distances ``1 - cosine`` summed up, from 0.

    Args:
        x: rows ``[n, F]``.

    Returns:
        ``[n]``, ascending.
    """
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.maximum(norms, SMALLEST)
    change = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    return np.concatenate([[0.0], np.cumsum(np.maximum(change, 0) + PER_ROW)])


def guided_mean(values: Floats, places: Floats, reach: float) -> Floats:
    """Weighted mean over time, weights ``exp(-|distance| / reach)`` on the stretched axis.

    Two sweeps, one in each direction, give the same sums as all pairs of rows would.

    Args:
        values: ``[n, C]``.
        places: ``[n]`` of :func:`stretched_time`.
        reach: distance at which a weight has fallen to 1/e; 0 changes nothing.
    """
    if reach <= 0:
        return values
    decay = np.exp(-np.diff(places) / reach)
    sums = np.column_stack([values, np.ones(len(values))])
    ahead, behind = sums.copy(), sums.copy()
    for row in range(1, len(sums)):
        ahead[row] += decay[row - 1] * ahead[row - 1]
        behind[-row - 1] += decay[-row] * behind[-row]
    total = ahead + behind - sums  # each row's own value is in both sweeps
    return np.asarray(total[:, :-1] / total[:, -1:])
