"""Mean average precision over temporal IoU thresholds, as the ActivityNet toolkit defines it.

Per class, predictions are matched as in :mod:`basnet_e2e.evaluation.matching`; average precision is
the area under the precision envelope. Classes are those with ground truth in the subset; other
predicted labels are ignored. A video without ground truth contributes false positives.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.data.annotations.checks import odd_annotations, without_duplicates
from basnet_e2e.data.annotations.predictions import Predictions, labels_in_nfc, read_predictions
from basnet_e2e.data.annotations.video_names import listing, match_ids
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.matching import (
    Floats,
    Intervals,
    Ints,
    Pairs,
    as_arrays,
    assign,
    overlaps,
)
from basnet_e2e.evaluation.mismatches import mismatches
from basnet_e2e.intervals import Interval, Localization

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Averages that papers report: THUMOS'14 the first three, ActivityNet the last.
AVERAGES = ((0.1, 0.5, 0.1), (0.1, 0.7, 0.1), (0.1, 0.9, 0.1), (0.5, 0.95, 0.05))

AnyPredictions = (
    str
    | os.PathLike[str]
    | Predictions
    | Localization
    | Sequence[Localization]
    | Mapping[str, Sequence[Interval]]
)
AnyTruth = str | os.PathLike[str] | GroundTruth | Mapping[str, Sequence[Interval]]


@dataclass(frozen=True)
class Case:
    """Predictions and ground truth of one subset, ready to be compared.

    Attributes:
        classes: those with ground truth, in order of first appearance.
        videos: those of the subset, then those that only the predictions name.
        annotated: how many of ``videos`` belong to the subset.
        found: predictions of these classes by rank.
        truth: annotated intervals.
        scores: video -> class -> video-level score, as far as the predictions have them.
        subset: name of the subset.
        warnings: what a reader of the results should know, one line each.
    """

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    annotated: int
    found: Intervals
    truth: Intervals
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    subset: str | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def pairs(self) -> Pairs:
        """Overlapping predictions and annotated intervals of one class."""
        return overlaps(self.found, self.truth, same_label=True)

    @cached_property
    def positives(self) -> Ints:
        """Annotated intervals of each class, ``[C]``."""
        return np.bincount(self.truth.label, minlength=len(self.classes))

    def taken(self, tiou: float) -> Ints:
        """Row of the annotated interval that each prediction takes at a threshold, -1 for none."""
        return assign(self.pairs.above(tiou), len(self.found), len(self.truth))


@dataclass(frozen=True)
class Table:
    """Average precision per class and threshold.

    Attributes:
        tious: thresholds.
        classes: names.
        ap: ``[C, thresholds] float64`` in [0, 1].
        positives: ``[C]`` annotated intervals.
        predictions: ``[C]`` predicted intervals.
        videos: number of videos of the subset.
        subset: its name.
        warnings: what a reader should know, one line each.
    """

    tious: tuple[float, ...]
    classes: tuple[str, ...]
    ap: Floats
    positives: Ints
    predictions: Ints
    videos: int
    subset: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def map(self) -> Floats:
        """Mean average precision per threshold, ``[thresholds]``."""
        return self.ap.mean(axis=0)

    @property
    def average(self) -> float:
        """Mean of the mAP over all thresholds."""
        return float(self.map.mean())

    @property
    def averages(self) -> dict[str, float]:
        """Averages that papers report, as far as all their thresholds are included."""
        return {
            name: float(self.map[columns].mean())
            for name, columns in average_columns(self.tious).items()
        }

    def to_json(self) -> dict[str, Any]:
        """All figures as one JSON object."""
        return {
            "subset": self.subset,
            "videos": self.videos,
            "tiou": list(self.tious),
            "map": [float(value) for value in self.map],
            "average": self.average,
            "averages": self.averages,
            "classes": {
                name: {
                    "ground_truth": int(self.positives[row]),
                    "predictions": int(self.predictions[row]),
                    "ap": [float(value) for value in self.ap[row]],
                }
                for row, name in enumerate(self.classes)
            },
            "warnings": list(self.warnings),
        }


def evaluate(
    predictions: AnyPredictions,
    ground_truth: AnyTruth,
    tious: Sequence[float] = TIOUS,
    subset: str | None = None,
    dedupe: bool = False,
    allow_trained: bool = False,
) -> Table:
    """Score predicted intervals against annotated ones.

    Args:
        predictions: result of localization, or a file of such results or of ActivityNet-style
            detections.
        ground_truth: ActivityNet-style JSON or a CSV file ``video,label,start,end``, or its
            content.
        tious: temporal IoU thresholds in (0, 1].
        subset: subset of the ground truth. Default: the test (or validation) subset.
        dedupe: count annotated intervals that repeat another one (to 1 ms) once.
        allow_trained: also count videos whose intervals or points the model was trained on.

    Raises:
        BasnetError: a file is damaged, a threshold is out of range, nothing is annotated, no video
            of a predictions file is in the subset, or the model was trained on its intervals.
    """
    case = prepare(
        predictions, ground_truth, subset=subset, dedupe=dedupe, allow_trained=allow_trained
    )
    return score(case, tious)


def prepare(
    predictions: AnyPredictions,
    ground_truth: AnyTruth,
    *,
    subset: str | None = None,
    dedupe: bool = False,
    allow_trained: bool = False,
) -> Case:
    """Read files, match video names, and collect warnings.

    Raises:
        BasnetError: a file is damaged, two predicted videos are the same one, nothing is
            annotated, no video of a predictions file is in the subset, or the model was trained on
            intervals or points of one that is.
    """
    found = _predictions(predictions)
    truth = _ground_truth(ground_truth, subset)
    if not truth.classes:
        raise BasnetError(f"{truth.source}: no annotated interval to compare with")
    warnings = odd_annotations(truth, dedupe=dedupe)
    annotated = without_duplicates(truth.videos) if dedupe else truth.videos
    names = _common_names(found, truth)
    trained = [name for name in found.trained if names[name] in truth.videos]
    if trained and not allow_trained:
        raise BasnetError(
            f"{found.source}: the model was trained on intervals or points of {listing(trained)}, "
            "so their scores say nothing about other videos; leave them out, or insist with "
            "--allow-trained"
        )
    videos = {names[name]: rows for name, rows in found.videos.items()}
    elsewhere = [name for name in videos if name in truth.others]
    videos = {name: rows for name, rows in videos.items() if name not in truth.others}
    # A file of other videos is a mistake; a mapping may well be empty.
    is_file = isinstance(predictions, str | os.PathLike)
    warnings += mismatches(videos, elsewhere, found, truth, must_share=is_file)
    numbers = {name: row for row, name in enumerate(dict.fromkeys([*truth.videos, *videos]))}
    classes = truth.classes
    columns = {name: column for column, name in enumerate(classes)}
    rows = as_arrays(videos, columns, numbers)
    return Case(
        classes=classes,
        videos=tuple(numbers),
        annotated=len(truth.videos),
        found=rows.take(np.argsort(-rows.score, kind="stable")),
        truth=as_arrays(annotated, columns, numbers),
        scores={names[name]: scores for name, scores in found.scores.items()},
        subset=truth.subset,
        warnings=tuple(warnings),
    )


def score(case: Case, tious: Sequence[float] = TIOUS) -> Table:
    """Average precision of each class at each threshold.

    Raises:
        BasnetError: a threshold is out of range.
    """
    chosen = tuple(float(tiou) for tiou in tious)
    if not chosen or not all(0 < tiou <= 1 for tiou in chosen):
        raise BasnetError("temporal IoU thresholds must be above 0 and at most 1")
    hits = np.array([case.taken(tiou) >= 0 for tiou in chosen])
    ap = np.empty((len(case.classes), len(chosen)))
    for row in range(len(case.classes)):
        ap[row] = average_precision(hits[:, case.found.label == row], int(case.positives[row]))
    return Table(
        tious=chosen,
        classes=case.classes,
        ap=ap,
        positives=case.positives,
        predictions=np.bincount(case.found.label, minlength=len(case.classes)),
        videos=case.annotated,
        subset=case.subset,
        warnings=case.warnings,
    )


def average_precision(hits: NDArray[np.bool_], positives: int) -> Floats:
    """Area under the envelope of precision against recall.

    Args:
        hits: ``[..., N]`` which predictions are true, by rank.
        positives: number of annotated intervals, at least 1.

    Returns:
        ``[...]`` in [0, 1].
    """
    count = hits.shape[-1]
    precision = np.cumsum(hits, axis=-1) / np.arange(1, count + 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    # Recall rises by 1/positives at each hit and nowhere else.
    return np.asarray((envelope * hits).sum(axis=-1) / positives)


def parse_tious(text: str) -> tuple[float, ...]:
    """Thresholds as ``first:last:step`` (both ends included) or as a list ``.3,.5``.

    Raises:
        BasnetError: neither form, or a threshold out of range.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            count = round((last - first) / step) if step > 0 else -1
            if count < 0 or abs(first + count * step - last) > 1e-6:
                raise ValueError(text)
            values = tuple(round(first + index * step, 6) for index in range(count + 1))
        else:
            values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise BasnetError(
            f"thresholds '{text}' are not first:last:step (0.1:0.9:0.1) or a list (0.3,0.5,0.7)"
        ) from error
    if not all(0 < value <= 1 for value in values):
        raise BasnetError(f"thresholds '{text}': temporal IoU is above 0 and at most 1")
    return values


def average_columns(tious: Sequence[float]) -> dict[str, list[int]]:
    """Columns of each reported average, ``0.1:0.5`` and so on, if all are included."""
    place = {round(tiou, 6): column for column, tiou in enumerate(tious)}
    found = {}
    for first, last, step in AVERAGES:
        wanted = [round(first + n * step, 6) for n in range(round((last - first) / step) + 1)]
        if all(value in place for value in wanted):
            found[f"{first:g}:{last:g}"] = [place[value] for value in wanted]
    return found


def _predictions(given: AnyPredictions) -> Predictions:
    if isinstance(given, Predictions):
        return given
    if isinstance(given, Localization):
        return Predictions.of([given])
    if isinstance(given, str | os.PathLike):
        return read_predictions(given)
    if isinstance(given, Mapping):
        return Predictions({name: labels_in_nfc(rows) for name, rows in given.items()})
    return Predictions.of(list(given))


def _ground_truth(given: AnyTruth, subset: str | None) -> GroundTruth:
    if isinstance(given, str | os.PathLike):
        return read_ground_truth(given, subset)
    if isinstance(given, Mapping):
        return GroundTruth({name: labels_in_nfc(rows) for name, rows in given.items()})
    return given


def _common_names(found: Predictions, truth: GroundTruth) -> dict[str, str]:
    """Name of each predicted video in the ground truth; its own name if it is not in there."""
    known = [*truth.videos, *sorted(truth.others)]
    names = {name: name for name in found.videos if name in truth.videos or name in truth.others}
    rest = [name for name in found.videos if name not in names]
    if rest:
        matches = match_ids(rest, known)
        matches.report("predicted video", found.source)
        names |= matches.found
    names = {name: names.get(name, name) for name in [*found.videos, *found.scores]}
    owners: dict[str, str] = {}
    for name in found.videos:
        other = owners.setdefault(names[name], name)
        if other != name:
            raise BasnetError(
                f"{found.source}: '{other}' and '{name}' are both the video '{names[name]}' of "
                f"{truth.source}"
            )
    return names
