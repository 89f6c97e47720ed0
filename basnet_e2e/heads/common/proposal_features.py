"""What proposals of one class look like: curves around each, and how inside and outside differ.

A second stage is taught by few annotated videos, so that most of what it sees is told relative to
the proposal: values of the class's curve, of its share and the background's, of the foreground
weight, of the length of the feature vectors, of how much they change from row to row, and of where
each row lies between the mean outside the proposal (0) and the mean inside (1). The differences of
the means (f2 - f1, f2 - f3 of P-MIL, Ren et al., CVPR 2023) on a few principal axes come beside
them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.heads.common.decoding_rules import Floats

# Places at which curves are read: in lengths of the proposal from its start, and in rows from both
# borders. They are symmetric, so that a mirrored video has mirrored features.
BY_LENGTH = np.linspace(-0.5, 1.5, 17)
BY_ROWS = np.linspace(-2.0, 2.0, 9)
PLACES = len(BY_LENGTH) + 2 * len(BY_ROWS)
AXES, DIFFERENCES = 32, 16  # principal axes that rows are compared on, and of the differences given
ROUNDING = 1e-6  # rows within which a place counts as that of the video's end
LEAST_MARGIN = 1.5  # rows on each side that the mean outside is taken over, at least
CURVES = 8
SINGLE = 4
WIDTH = CURVES * PLACES + SINGLE + 2 * DIFFERENCES
Described = NDArray[np.float32]


@dataclass(frozen=True)
class RowCurves:
    """A video on n rows, as proposals of one class are compared with it.

    Attributes:
        rows: ``[n, AXES]`` on the first principal axes (zeros where there are fewer).
        curves: ``[n, 5]``: activation of the class as it is cut, its share of a softmax over
            classes, foreground weight, the background's share, length of the row vectors.
        change: ``[n + 1]`` change of the features at each border between rows; 0 at both ends.
    """

    rows: Described
    curves: Described
    change: Described

    @classmethod
    def of(
        cls, axes: Floats, activation: Floats, shares: Floats, foreground: Floats | None
    ) -> "RowCurves":
        """A video as one class sees it.

        Args:
            axes: rows on principal axes ``[n, K]``.
            activation: ``[n]`` of the class.
            shares: ``[n, 2]`` of the class and of background.
            foreground: weights ``[n]``; default: 1.
        """
        size = np.linalg.norm(axes, axis=1)
        unit = axes / np.maximum(size, 1e-6)[:, None]
        change = np.pad(1 - (unit[1:] * unit[:-1]).sum(axis=1), 1)
        rows = np.zeros((len(axes), AXES), np.float32)
        rows[:, : axes.shape[1]] = axes[:, :AXES]
        weights = np.ones(len(axes)) if foreground is None else foreground
        size = size / max(float(size.mean()), 1e-6)
        curves = np.column_stack([activation, shares[:, 0], weights, shares[:, 1], size])
        return cls(rows, curves.astype(np.float32), change.astype(np.float32))


def describe(video: RowCurves, start: Floats, end: Floats) -> Described:
    """Features of P proposals ``[P, WIDTH]``.

    Args:
        video: its rows.
        start: ``[P]`` in rows and their fractions.
        end: likewise, behind the starts.
    """
    n, length = len(video.rows), end - start
    places = np.concatenate(
        [
            start[:, None] + BY_LENGTH * length[:, None],
            start[:, None] + BY_ROWS,
            end[:, None] + BY_ROWS,
        ],
        axis=1,
    )
    total = np.concatenate([np.zeros((1, AXES)), np.cumsum(video.rows, 0, dtype=np.float64)])
    margin = np.maximum(0.5 * length, LEAST_MARGIN)
    before, inside, behind = (
        _mean(total, low, high)
        for low, high in ((start - margin, start), (start, end), (end, end + margin))
    )
    left, right = ((side > 0.25).astype(float)[:, None] for side in (start, n - end))
    outside = (before * left + behind * right) / np.maximum(left + right, 1)
    axis = inside - outside
    size = np.linalg.norm(axis, axis=1) + 1e-3
    rows = read_at(video.rows, places) - outside[:, None]
    along = np.einsum("psk,pk->ps", rows, axis) / (size**2)[:, None]
    beyond = (places < -ROUNDING) | (places > n + ROUNDING)
    change = read_at(video.change[:, None], places + 0.5)
    parts = [read_at(video.curves, places), change, np.clip(along, -2, 3)[..., None]]
    curves = np.concatenate([*parts, beyond[..., None]], axis=2)
    return np.concatenate(
        [
            curves.transpose(0, 2, 1).reshape(len(start), CURVES * PLACES),
            np.column_stack([np.log(length), size, left, right]),
            (inside - before)[:, :DIFFERENCES] * left,
            (inside - behind)[:, :DIFFERENCES] * right,
        ],
        axis=1,
    ).astype(np.float32)


def mirrored(described: Described) -> Described:
    """Features of the same proposals in the video played backwards."""
    cut = np.cumsum([CURVES * PLACES, SINGLE, DIFFERENCES])
    curves, single, before, behind = np.split(described, cut, axis=1)
    places = curves.reshape(len(described), CURVES, PLACES)[:, :, ::-1]
    by_length, rest = places[:, :, -len(BY_LENGTH) :], places[:, :, : -len(BY_LENGTH)]
    back = np.concatenate([by_length, rest], axis=2).reshape(curves.shape)
    return np.concatenate([back, single[:, [0, 1, 3, 2]], behind, before], axis=1)


def read_at(values: NDArray[np.floating], places: Floats) -> NDArray[np.floating]:
    """Values ``[n, ...]`` of rows at places, linear between the rows' middles, held beyond them."""
    at = np.clip(places - 0.5, 0, len(values) - 1)
    low = np.minimum(at.astype(np.intp), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    share = (at - low)[..., None]
    return np.asarray(values[low] * (1 - share) + values[high] * share)


def _mean(total: Floats, low: Floats, high: Floats) -> Floats:
    """Mean of rows between two places, of their sums ``[n + 1, K]`` up to each border."""
    low, high = (np.clip(each, 0, len(total) - 1) for each in (low, high))
    high = np.maximum(high, low + 1e-3)
    sums = (read_at(total, each[:, None] + 0.5)[:, 0] for each in (low, high))
    first, last = sums
    return np.asarray((last - first) / (high - low)[:, None])
