"""Class activation sequences to scored intervals.

A class that reaches ``theta_class`` in a video has its activation up-sampled and cut at several
thresholds; each run of samples above a threshold is a proposal. Its score is the mean inside minus
the mean in a margin outside (as in CMCS) plus a share of the class score. Settings choose between
the authors' released code and its fixes; a head's own rules replace single steps.
"""

from collections.abc import Callable, Sequence

import numpy as np

from basnet_e2e.heads.common.decoding_rules import (
    DEFAULT_RULES,
    Curve,
    DecodingRules,
    Floats,
    Ints,
    Prediction,
    Proposals,
    ThresholdedRuns,
    runs_of,
)
from basnet_e2e.heads.common.settings import DecodingSettings
from basnet_e2e.heads.common.suppression import non_maximum_suppression

# Maps a class and its proposals, in rows, to corrected proposals.
Corrector = Callable[[int, Proposals], Proposals]


def choose_classes(scores: Floats, decoding: DecodingSettings) -> Ints:
    """Classes to search for in a video.

    Args:
        scores: ``[C]`` video-level scores.
        decoding: ``theta_class``, ``fallback`` and ``first``.

    Returns:
        Indices in ascending order; empty if no action was recognised.
    """
    chosen = np.flatnonzero(scores >= decoding.theta_class)
    if not len(chosen) and decoding.fallback == "argmax" and len(scores):
        chosen = np.array([int(scores.argmax())], np.intp)
    # The released code asks whether any index is not zero where it means any class at all.
    if decoding.first == "dropped" and not chosen.any():
        chosen = chosen[:0]
    return chosen


def normalise(cas: Floats, decoding: DecodingSettings) -> Floats:
    """Each class's activation over the video, scaled so that its range is [0, 1].

    Minimum and maximum are at least 0, so activations below 0 stay below; an empty range counts
    as 1, so a constant activation becomes 0.

    Args:
        cas: ``[n, C]``.
        decoding: ``normalise``; with ``none`` the activation stays as it is.
    """
    if decoding.normalise == "none":
        return cas
    low = np.maximum(cas.min(axis=0), 0.0)
    span = np.maximum(cas.max(axis=0), 0.0) - low
    return np.asarray((cas - low) / np.where(span <= 0, 1.0, span))


def smooth(cas: Floats, rows: int) -> Floats:
    """Weighted mean over ``rows`` neighbouring rows (Hann window, renormalised at the ends).

    Args:
        cas: ``[n, C]``.
        rows: width of the window; 1 changes nothing.
    """
    if rows <= 1:
        return cas
    window = np.hanning(rows + 2)[1:-1]
    before = rows // 2
    padded = np.pad(cas, ((before, rows - 1 - before), (0, 0)))
    inside = np.pad(np.ones(len(cas)), (before, rows - 1 - before))
    sums = sum(weight * padded[i : i + len(cas)] for i, weight in enumerate(window))
    shares = sum(weight * inside[i : i + len(cas)] for i, weight in enumerate(window))
    return np.asarray(sums / shares[:, None])


def upsample(
    curve: Floats, edges: Floats, centres: Floats, decoding: DecodingSettings
) -> tuple[Floats, Floats]:
    """Interpolate one class's activation linearly, with ``upsample`` samples per row.

    Args:
        curve: ``[n]``.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the values sit.
        decoding: ``upsample`` and ``centre``.

    Returns:
        Values ``[S]`` of the samples, and seconds ``[S + 1]`` between samples.
    """
    rows = len(curve)
    at = np.arange(rows * decoding.upsample + 1) / decoding.upsample
    bounds = np.interp(at, np.arange(rows + 1), edges)
    if decoding.centre == "centre":
        return np.interp((bounds[:-1] + bounds[1:]) / 2, centres, curve), bounds
    values = np.interp(at[:-1], np.arange(rows), curve)
    if rows > 1:
        tail = at[:-1] > rows - 1
        values[tail] = curve[-1] + (at[:-1][tail] - (rows - 1)) * (curve[-1] - curve[-2])
    return values, bounds


def runs(values: Floats, threshold: float) -> tuple[Ints, Ints]:
    """Runs of samples that are positive and at or above the threshold: first and one past last."""
    return runs_of((values >= threshold) & (values > 0))


def contrast(
    values: Floats, first: Ints, stop: Ints, threshold: float, decoding: DecodingSettings
) -> Floats:
    """Mean of each run minus the mean of its margins on both sides.

    The margin on each side is a share ``outer`` of the run's samples; without any sample in the
    margins their mean counts as 0.

    Args:
        values: ``[S]``.
        first: first sample of each run ``[P]``.
        stop: one past its last.
        threshold: at which the runs were cut.
        decoding: ``outer``, and ``contrast``: ``thresholded`` measures on the curve that is zero
            below the threshold, ``curve`` on the one that is zero below zero.
    """
    width = decoding.outer * (stop - first)
    if decoding.contrast == "thresholded":
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
    values: Floats,
    bounds: Floats,
    class_score: float,
    decoding: DecodingSettings,
    duration: float,
    rules: DecodingRules = DEFAULT_RULES,
    scored: Floats | None = None,
) -> Proposals:
    """All proposals of one curve of a class in one video, before suppression.

    Args:
        values: up-sampled activation ``[S]``.
        bounds: seconds between samples ``[S + 1]``.
        class_score: of the video.
        decoding: thresholds, ``groups``, ``contrast``, ``ranking`` and ``gamma``.
        duration: of the video in seconds.
        rules: the head's own steps.
        scored: samples ``[S]`` to score on; default: ``values``.
    """
    thresholds = decoding.theta_act
    if rules.thresholds is not None:
        thresholds = tuple(rules.thresholds(values, decoding))
    if scored is None:
        scored = values
    found = []
    for threshold in thresholds:
        first, stop = _runs(values, threshold, decoding, rules)
        runs = ThresholdedRuns(values, scored, first, stop, threshold, class_score)
        score = (rules.score or contrast_score)(runs, decoding)
        found.append(Proposals(bounds[first], bounds[stop], score))
    together = Proposals.joined(found)
    return together if decoding.groups == "any" else _within(together, duration)


def _runs(
    values: Floats, threshold: float, decoding: DecodingSettings, rules: DecodingRules
) -> tuple[Ints, Ints]:
    """Runs of a curve that become proposals."""
    if rules.runs is not None:
        first, stop = rules.runs(values, threshold, decoding)
    else:
        first, stop = runs(values, threshold)
    if decoding.groups == "sound":
        several = stop - first >= decoding.shortest
        return first[several], stop[several]
    if len(first) == 1 and stop[0] == 1:
        # The released code asks whether any active position is not zero.
        return first[:0], stop[:0]
    return first, stop


def contrast_score(runs: ThresholdedRuns, decoding: DecodingSettings) -> Floats:
    """Score of each run: its contrast with its margins, and a share of the class score."""
    class_score = runs.class_score
    if decoding.ranking == "binary":
        class_score = float(class_score >= decoding.theta_class)
    inner = contrast(runs.scored, runs.first, runs.stop, runs.threshold, decoding)
    return inner + decoding.gamma * class_score


def suppress(found: Proposals, decoding: DecodingSettings) -> Proposals:
    """Proposals of one class that do not overlap a better one by much, best first."""
    extra = 1.0 if decoding.nms == "pixel" else 0.0
    kept = non_maximum_suppression(found.start, found.end, found.score, decoding.nms_iou, extra)
    return found.take(kept)


def class_curves(prediction: Prediction, index: int, decoding: DecodingSettings) -> list[Curve]:
    """The curve of one class: its activation, smoothed and normalised."""
    column = prediction.cas[:, index : index + 1]
    return [Curve(normalise(smooth(column, decoding.smooth), decoding)[:, 0])]


def propose(
    prediction: Prediction,
    edges: Floats,
    centres: Floats,
    decoding: DecodingSettings,
    duration: float,
    rules: DecodingRules = DEFAULT_RULES,
    second: Corrector | None = None,
) -> dict[int, Proposals]:
    """Proposals of a video after suppression.

    Args:
        prediction: of a network for the video, on n rows.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the rows' values sit.
        decoding: settings of the shared steps.
        duration: of the video in seconds.
        rules: the head's own steps.
        second: corrects the proposals of a class, in rows, before suppression.

    Returns:
        Class index -> its proposals, best first; classes without any are left out.
    """
    kept = {}
    for index, found in candidates(prediction, edges, centres, decoding, duration, rules).items():
        if second is not None:
            rows = np.arange(len(edges), dtype=np.float64)
            found = second(index, distinct(_mapped(found, edges, rows)))
            found = _within(_mapped(found, rows, np.clip(edges, 0.0, duration)), duration)
        kept[index] = (rules.suppress or suppress)(found, decoding)
    return {index: found for index, found in kept.items() if len(found)}


def candidates(
    prediction: Prediction,
    edges: Floats,
    centres: Floats,
    decoding: DecodingSettings,
    duration: float,
    rules: DecodingRules = DEFAULT_RULES,
) -> dict[int, Proposals]:
    """As :func:`propose`, before suppression."""
    kept = {}
    for index in map(int, (rules.classes or choose_classes)(prediction.video_scores, decoding)):
        if prediction.proposals is not None:
            found = prediction.proposals.get(index, Proposals.joined([]))
            found = _within(_mapped(found, np.arange(len(edges)), edges), duration)
        else:
            score = float(prediction.video_scores[index])
            curves = (rules.curves or class_curves)(prediction, index, decoding)
            found = _of_curves(curves, edges, centres, score, decoding, duration, rules)
        if len(found):
            kept[index] = found
    return kept


def distinct(found: Proposals) -> Proposals:
    """Each interval once, to a hundredth of a row, with its best score."""
    order = np.argsort(-found.score, kind="stable")
    borders = np.round(np.stack([found.start, found.end], axis=1)[order] * 100)
    _, first = np.unique(borders, axis=0, return_index=True)
    return found.take(order[np.sort(first)])


def _mapped(found: Proposals, before: Floats | Ints, after: Floats) -> Proposals:
    """Proposals on another time axis, interpolated linearly between the points of both."""
    start, end = (np.interp(border, before, after) for border in (found.start, found.end))
    return Proposals(start, end, found.score)


def _within(found: Proposals, duration: float) -> Proposals:
    """The parts of proposals within the video; empty ones are dropped."""
    start, end = (np.clip(border, 0.0, duration) for border in (found.start, found.end))
    return Proposals(start, end, found.score).take(end > start)


def _of_curves(
    curves: Sequence[Curve],
    edges: Floats,
    centres: Floats,
    class_score: float,
    decoding: DecodingSettings,
    duration: float,
    rules: DecodingRules,
) -> Proposals:
    """Proposals of all curves of one class."""
    found = []
    for curve in curves:
        values, bounds = upsample(curve.cut, edges, centres, decoding)
        scored = None
        if curve.scored is not None:
            scored, _ = upsample(curve.scored, edges, centres, decoding)
        found.append(
            class_proposals(values, bounds, class_score, decoding, duration, rules, scored)
        )
    return Proposals.joined(found)
