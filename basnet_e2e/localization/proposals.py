"""Class activation sequences to scored intervals.

A class that reaches ``theta_class`` in a video has its activation up-sampled and cut at several
thresholds; each run of samples above one is a proposal. Its score is the mean inside minus the mean
in a margin outside (as in CMCS) plus a share of the class score. Where the authors' released code
and its mends differ, a setting of the preset decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.heads.presets import Preset
from basnet_e2e.localization.nms import non_maximum_suppression

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Proposals:
    """Intervals of one class: start and end in seconds, score; each ``[P]``."""

    start: Floats
    end: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Ints | NDArray[np.bool_]) -> "Proposals":
        """Some of them."""
        return Proposals(self.start[index], self.end[index], self.score[index])


def choose_classes(scores: Floats, preset: Preset) -> Ints:
    """Classes whose intervals are sought in a video.

    Args:
        scores: ``[C]`` video-level scores.
        preset: ``theta_class``, ``fallback`` and ``first``.

    Returns:
        Indices in ascending order; none where no action was recognised.
    """
    chosen = np.flatnonzero(scores >= preset.theta_class)
    if not len(chosen) and preset.fallback == "argmax" and len(scores):
        chosen = np.array([int(scores.argmax())], np.intp)
    # The released code asks whether any index is not zero where it means any class at all.
    if preset.first == "dropped" and not chosen.any():
        chosen = chosen[:0]
    return chosen


def normalise(cas: Floats, preset: Preset) -> Floats:
    """Each class's activation over the video, scaled so that its range is [0, 1].

    Minimum and maximum are taken no lower than 0, so activations below 0 stay below; a range of
    nothing counts as 1, so that a constant activation becomes 0.

    Args:
        cas: ``[n, C]``.
        preset: ``normalise``; with ``none`` the activation is taken as it is.
    """
    if preset.normalise == "none":
        return cas
    low = np.maximum(cas.min(axis=0), 0.0)
    span = np.maximum(cas.max(axis=0), 0.0) - low
    return np.asarray((cas - low) / np.where(span <= 0, 1.0, span))


def smooth(cas: Floats, rows: int) -> Floats:
    """Weighted mean over ``rows`` neighbouring rows (Hann window, renormalised at the ends).

    Args:
        cas: ``[n, C]``.
        rows: width of the window, at least 1, which changes nothing.
    """
    if rows <= 1:
        return cas
    window = np.hanning(rows + 2)[1:-1]
    before = rows // 2
    padded = np.pad(cas, ((before, rows - 1 - before), (0, 0)))
    there = np.pad(np.ones(len(cas)), (before, rows - 1 - before))
    sums = sum(weight * padded[i : i + len(cas)] for i, weight in enumerate(window))
    shares = sum(weight * there[i : i + len(cas)] for i, weight in enumerate(window))
    return np.asarray(sums / shares[:, None])


def upsample(
    curve: Floats, edges: Floats, centres: Floats, preset: Preset
) -> tuple[Floats, Floats]:
    """Linear interpolation of one class's activation, ``upsample`` samples a row.

    Args:
        curve: ``[n]``.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the values sit.
        preset: ``upsample`` and ``centre``.

    Returns:
        Values ``[S]`` of the samples and the seconds ``[S + 1]`` between samples.
    """
    rows = len(curve)
    at = np.arange(rows * preset.upsample + 1) / preset.upsample
    bounds = np.interp(at, np.arange(rows + 1), edges)
    if preset.centre == "centre":
        return np.interp((bounds[:-1] + bounds[1:]) / 2, centres, curve), bounds
    values = np.interp(at[:-1], np.arange(rows), curve)
    if rows > 1:
        tail = at[:-1] > rows - 1
        values[tail] = curve[-1] + (at[:-1][tail] - (rows - 1)) * (curve[-1] - curve[-2])
    return values, bounds


def runs(values: Floats, threshold: float) -> tuple[Ints, Ints]:
    """Runs of samples that are positive and at or above the threshold: first and one past last."""
    above = np.pad((values >= threshold) & (values > 0), 1)
    changes = np.flatnonzero(above[1:] != above[:-1])
    return changes[0::2], changes[1::2]


def contrast(values: Floats, first: Ints, stop: Ints, threshold: float, preset: Preset) -> Floats:
    """Mean of each run minus the mean of its margins on both sides.

    The margin on each side is a share ``outer`` of the run's samples; without any sample in the
    margins their mean counts as 0.

    Args:
        values: ``[S]``.
        first: first sample of each run ``[P]``.
        stop: one past its last.
        threshold: at which the runs were cut.
        preset: ``outer``, and ``contrast``: ``thresholded`` measures on the curve that is zero
            below the threshold, ``curve`` on the one that is zero below zero.
    """
    width = preset.outer * (stop - first)
    if preset.contrast == "thresholded":
        curve = np.where(values < threshold, 0.0, values)
        # The released code truncates positions instead of rounding widths.
        low = np.maximum(0, (first - width).astype(np.intp))
        high = np.minimum(len(values) - 1, (stop - 1 + width).astype(np.intp)) + 1
    else:
        curve = np.maximum(values, 0.0)
        margin = np.rint(width).astype(np.intp)
        low = np.maximum(0, first - margin)
        high = np.minimum(len(values), stop + margin)
    total = np.concatenate([[0.0], np.cumsum(curve)])
    inner = (total[stop] - total[first]) / (stop - first)
    samples = (first - low) + (high - stop)
    outer = (total[first] - total[low]) + (total[high] - total[stop])
    return np.asarray(inner - outer / np.maximum(samples, 1))


def class_proposals(
    values: Floats, bounds: Floats, class_score: float, preset: Preset, duration: float
) -> Proposals:
    """All proposals of one class in one video, before suppression.

    Args:
        values: up-sampled activation ``[S]``.
        bounds: seconds between samples ``[S + 1]``.
        class_score: of the video.
        preset: thresholds, ``groups``, ``contrast``, ``ranking`` and ``gamma``.
        duration: of the video in seconds.
    """
    if preset.ranking == "binary":
        class_score = float(class_score >= preset.theta_class)
    found = []
    for threshold in preset.theta_act:
        first, stop = runs(values, threshold)
        if preset.groups == "sound":
            several = stop - first >= preset.shortest
            first, stop = first[several], stop[several]
        elif len(first) == 1 and stop[0] == 1:
            # The released code asks whether any active position is not zero.
            continue
        score = contrast(values, first, stop, threshold, preset) + preset.gamma * class_score
        found.append(Proposals(bounds[first], bounds[stop], score))
    together = Proposals(
        *(
            np.concatenate([getattr(p, name) for p in found] or [np.zeros(0)])
            for name in ("start", "end", "score")
        )
    )
    if preset.groups == "any":
        return together
    held = Proposals(
        np.clip(together.start, 0.0, duration), np.clip(together.end, 0.0, duration), together.score
    )
    return held.take(held.end > held.start)


def propose(
    cas: Floats,
    edges: Floats,
    centres: Floats,
    scores: Floats,
    preset: Preset,
    duration: float,
) -> dict[int, Proposals]:
    """Proposals of a video after non-maximum suppression.

    Args:
        cas: activation of the action classes ``[n, C]``, neither smoothed nor normalised.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which their values sit.
        scores: video-level scores ``[C]``.
        preset: all settings of reading.
        duration: of the video in seconds.

    Returns:
        Class index -> its proposals, best first; classes without any are left out.
    """
    chosen = choose_classes(scores, preset)
    curves = normalise(smooth(cas[:, chosen], preset.smooth), preset)
    kept = {}
    for column, index in enumerate(chosen):
        values, bounds = upsample(curves[:, column], edges, centres, preset)
        found = class_proposals(values, bounds, float(scores[index]), preset, duration)
        if len(found):
            extra = 1.0 if preset.nms == "pixel" else 0.0
            best = non_maximum_suppression(
                found.start, found.end, found.score, preset.nms_iou, extra
            )
            kept[int(index)] = found.take(best)
    return kept
