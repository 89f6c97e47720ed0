"""Beyond mAP: kinds of errors, results by length, confidence of the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.evaluation.evaluate import TIOUS, Case, average_precision
from basnet_e2e.evaluation.matching import Flags, Floats, Ints, overlaps

# A detection with less overlap is unrelated to an action.
BACKGROUND_TIOU = 0.1
# As in DETAD: number of best detections to examine per annotated interval of a class.
EXAMINED = 10
KINDS = ("double detection", "localisation", "wrong label", "background")
KIND_MEANING = {
    "double detection": "overlaps enough with an action that a more confident one has taken",
    "localisation": "overlaps an action of its class, but too little",
    "wrong label": "overlaps only actions of other classes",
    "background": f"overlaps no action by {BACKGROUND_TIOU} IoU",
}
# Upper ends in seconds, as DETAD divides THUMOS'14 and ActivityNet.
LENGTHS = (3.0, 6.0, 12.0, 18.0, 30.0, 60.0, 120.0)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class FalsePositives:
    """Errors among the best detections of each class.

    Attributes:
        tiou: threshold.
        looked_at: number of detections.
        true: number of true ones.
        false: kind -> number of false ones.
        per_ground_truth: detections examined per annotated interval of a class.
    """

    tiou: float
    looked_at: int
    true: int
    false: dict[str, int]
    per_ground_truth: int = EXAMINED


def false_positives(case: Case, tiou: float = 0.5) -> FalsePositives:
    """Sort the best detections of each class into true ones and four kinds of false ones.

    The first 10 detections per annotated interval of the class are examined. A false one is a
    double detection if it reaches the threshold with an action of its class; else a localisation
    error if it overlaps one by 0.1 IoU; else a wrong label if it overlaps an action of another
    class by 0.1; else background.
    """
    hits = case.taken(tiou) >= 0
    every = overlaps(case.found, case.truth, same_label=False)
    own = case.truth.label[every.truth] == case.found.label[every.found]
    best_own, best_other = np.zeros(len(case.found)), np.zeros(len(case.found))
    np.maximum.at(best_own, every.found[own], every.iou[own])
    np.maximum.at(best_other, every.found[~own], every.iou[~own])
    chosen = _rank_within_class(case) < EXAMINED * case.positives[case.found.label]
    conditions = [
        best_own >= tiou,
        best_own >= BACKGROUND_TIOU,
        best_other >= BACKGROUND_TIOU,
        np.ones_like(hits),
    ]
    kind = np.select(conditions, range(len(KINDS)))
    counts = np.bincount(kind[chosen & ~hits], minlength=len(KINDS))
    return FalsePositives(
        tiou,
        int(chosen.sum()),
        int((chosen & hits).sum()),
        {name: int(count) for name, count in zip(KINDS, counts, strict=True)},
    )


def _rank_within_class(case: Case) -> Ints:
    """Rank of each detection within its class, from 0."""
    rank = np.empty(len(case.found), np.int64)
    for label in range(len(case.classes)):
        rows = np.flatnonzero(case.found.label == label)
        rank[rows] = np.arange(len(rows))
    return rank


@dataclass(frozen=True)
class LengthResult:
    """Results for annotated intervals in one range of lengths.

    Attributes:
        seconds: shortest and longest; None for the last range, which has no longest.
        ground_truth: number of annotated intervals.
        recall: share of them that are detected.
        map: mean AP over the classes that have such intervals.
    """

    seconds: tuple[float, float | None]
    ground_truth: int
    recall: float
    map: float


def by_length(case: Case, tiou: float = 0.5) -> list[LengthResult]:
    """Recall and mAP of annotated intervals by their length; empty ranges are left out.

    Detections matched to an action of another range do not count, nor do false ones whose own
    length is outside the range (as in COCO for object sizes).
    """
    taken = case.taken(tiou)
    hits = taken >= 0
    truth_bin = np.digitize(case.truth.length, LENGTHS, right=True)
    found_bin = np.digitize(case.found.length, LENGTHS, right=True)
    found_bin[hits] = truth_bin[taken[hits]]
    results = []
    for number, seconds in enumerate(zip((0.0, *LENGTHS), (*LENGTHS, None), strict=True)):
        positives = np.bincount(case.truth.label[truth_bin == number], minlength=len(case.classes))
        if not positives.sum():
            continue
        inside = found_bin == number
        aps = [
            average_precision(hits[inside & (case.found.label == label)], int(positives[label]))
            for label in np.flatnonzero(positives)
        ]
        recall = float((hits & inside).sum() / positives.sum())
        count, mean = int(positives.sum()), float(np.mean(aps))
        results.append(LengthResult(seconds, count, recall, mean))
    return results


@dataclass(frozen=True)
class Confidence:
    """Confidence intervals of mAP over resampled videos.

    Attributes:
        low: lower bound at each threshold.
        high: upper bound at each threshold.
        average: lower and upper bound of the average mAP.
        draws: number of resamples.
        level: share of the resamples within the bounds.
    """

    low: list[float]
    high: list[float]
    average: tuple[float, float]
    draws: int
    level: float = CONFIDENCE


def bootstrap(
    case: Case, tious: Sequence[float] = TIOUS, draws: int = 1000, seed: int = 0
) -> Confidence:
    """95 % percentile intervals of mAP over videos drawn with replacement.

    A video that is drawn twice counts twice, with its predictions and its ground truth; its matches
    do not change. A class without ground truth in a draw is not in the mean of that draw.
    """
    generator = np.random.default_rng(seed)
    annotated = case.annotated
    picks = generator.multinomial(annotated, np.full(annotated, 1 / annotated), size=draws)
    # Videos outside the subset, which only give false positives, stay as they are.
    extra = np.ones((draws, len(case.videos) - annotated), picks.dtype)
    weights = np.concatenate([picks, extra], axis=1).astype(np.float32)
    hits = np.array([case.taken(tiou) >= 0 for tiou in tious])
    total = np.zeros((draws, len(tious)))
    classes = np.zeros((draws, 1))
    for label in range(len(case.classes)):
        rows = np.flatnonzero(case.found.label == label)
        # Detections after the last true one do not change AP.
        rows = rows[: int(np.flatnonzero(hits[:, rows].any(axis=0)).max(initial=-1)) + 1]
        positives = weights[:, case.truth.video[case.truth.label == label]].sum(axis=1)
        present = positives > 0
        ap = weighted_average_precision(
            hits[:, rows], weights[:, case.found.video[rows]], positives
        )
        total[present] += ap[present]
        classes[present] += 1
    curves = total / np.maximum(classes, 1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(curves, [tail, 100 - tail], axis=0)
    average = np.percentile(curves.mean(axis=1), [tail, 100 - tail])
    bounds = float(average[0]), float(average[1])
    return Confidence(low.tolist(), high.tolist(), bounds, draws)


def weighted_average_precision(
    hits: Flags, weights: NDArray[Any], positives: NDArray[Any]
) -> Floats:
    """Average precision with each prediction counted ``weights`` times.

    Args:
        hits: ``[thresholds, N]`` by rank.
        weights: ``[draws, N]``.
        positives: ``[draws]``.

    Returns:
        ``[draws, thresholds]``; 0 where a draw has no positives.
    """
    found = np.cumsum(weights, axis=1, dtype=np.float64)
    ap = np.zeros((len(weights), len(hits)))
    for column, row in enumerate(hits):
        # Precision matters only at true detections, where the envelope is read.
        true = np.flatnonzero(row)
        weight = weights[:, true]
        precision = np.cumsum(weight, axis=1) / np.maximum(found[:, true], 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        ap[:, column] = (envelope * weight).sum(axis=1) / np.maximum(positives, 1)
    return ap


@dataclass(frozen=True)
class Classification:
    """How well video-level scores classify videos.

    Attributes:
        videos: videos that have both an action and scores.
        accuracy: share of them whose highest score belongs to one of their classes.
        map: mean over classes of the average precision of ranking these videos by score.
    """

    videos: int
    accuracy: float
    map: float


def classification(case: Case) -> Classification | None:
    """Evaluate video-level scores; None if the predictions have none.

    A class without a score counts as minus infinity and ranks last.
    """
    classes, numbers = list(case.classes), {name: row for row, name in enumerate(case.videos)}
    present = np.zeros((len(case.videos), len(classes)), bool)
    present[case.truth.video, case.truth.label] = True
    scored = [name for name in case.scores if name in numbers and present[numbers[name]].any()]
    if not scored:
        return None
    rows = [numbers[name] for name in scored]
    scores = np.array(
        [[case.scores[name].get(label, -np.inf) for label in classes] for name in scored]
    )
    truth = present[rows]
    first = truth[np.arange(len(rows)), scores.argmax(axis=1)] & np.isfinite(scores).any(axis=1)
    aps = []
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, label], kind="stable")
        hits = truth[order, label] & np.isfinite(scores[order, label])
        aps.append(average_precision(hits, int(truth[:, label].sum())))
    return Classification(len(rows), float(first.mean()), float(np.mean(aps)))
