"""Background detection on the snippet grid: does a model know where nothing happens?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.matching import Flags, Floats
from basnet_e2e.evaluation.ranking import tied_average_precision
from basnet_e2e.intervals import Interval

DEFINITION = (
    "background detection: a snippet is background if its centre is in no annotated action of "
    "any class; precision, recall and F-measure over all snippets of all test videos together, AP "
    "over all thresholds of the background score (the paper does not say how it counts)"
)


@dataclass(frozen=True)
class BackgroundVideo:
    """Background in the snippets of one video, annotated and predicted.

    Attributes:
        truth: ``[T] bool`` the snippet is background.
        predicted: ``[T] bool`` the model predicts so.
        score: ``[T]`` its confidence, higher for background.
    """

    truth: Flags
    predicted: Flags
    score: Floats


@dataclass(frozen=True)
class BackgroundResult:
    """Micro-averaged figures over the snippets of all videos.

    Attributes:
        precision: share of predicted background that is background; 0 where none is predicted.
        recall: share of background that is predicted.
        f_measure: harmonic mean of both.
        average_precision: threshold-free, area under the precision envelope.
        snippets: number of snippets.
        share: share of them that is background.
    """

    precision: float
    recall: float
    f_measure: float
    average_precision: float
    snippets: int
    share: float

    def to_json(self) -> dict[str, Any]:
        """Figures as one JSON object, with their definition."""
        return {**vars(self), "definition": DEFINITION}


def background_truth(start: Floats, end: Floats, intervals: Sequence[Interval]) -> Flags:
    """Which snippets are background: their centre is in no interval.

    Args:
        start: ``[T]`` seconds.
        end: ``[T]`` seconds.
        intervals: annotated actions of any class; an interval includes its start but not its end.

    Returns:
        ``[T] bool``.
    """
    centre = (np.asarray(start, np.float64) + np.asarray(end, np.float64)) / 2
    action = np.zeros(len(centre), bool)
    for interval in intervals:
        action |= (centre >= interval.start) & (centre < interval.end)
    return ~action


def background_detection(videos: Iterable[BackgroundVideo]) -> BackgroundResult:
    """Precision, recall, F-measure and average precision over all snippets.

    Snippets of equal score share one rank, so that their order does not matter.

    Raises:
        BasnetError: there are no videos or no snippet is background.
    """
    listed = list(videos)
    truth = np.concatenate([video.truth for video in listed]) if listed else np.zeros(0, bool)
    if not truth.any():
        raise BasnetError("background detection needs a snippet in which no action is annotated")
    predicted = np.concatenate([video.predicted for video in listed])
    score = np.concatenate([video.score for video in listed])
    true = int((truth & predicted).sum())
    precision = true / int(predicted.sum()) if predicted.any() else 0.0
    recall = true / int(truth.sum())
    f_measure = 2 * precision * recall / (precision + recall) if true else 0.0
    return BackgroundResult(
        precision,
        recall,
        f_measure,
        float(tied_average_precision(truth, score)),
        len(truth),
        float(truth.mean()),
    )
