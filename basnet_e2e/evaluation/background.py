"""Background detection on the snippet grid: does a model know where nothing happens?"""

from collections.abc import Iterable, Sequence

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


FIGURE_NAMES = ("f_measure", "precision", "recall", "average_precision")


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


def background_detection(videos: Iterable[tuple[Flags, Flags, Floats]]) -> dict[str, float]:
    """F-measure, precision, recall and average precision over the snippets of all videos.

    Snippets of equal score share one rank, so that their order does not matter.

    Args:
        videos: at least one; of each the snippets ``[T]`` that are background, those predicted as
            background, and the confidence that they are.

    Returns:
        A value in [0, 1] for each of ``FIGURE_NAMES``; precision is 0 if nothing is predicted.

    Raises:
        BasnetError: no snippet is background.
    """
    truth, predicted, score = map(np.concatenate, zip(*videos, strict=True))
    if not truth.any():
        raise BasnetError("background detection needs a snippet in which no action is annotated")
    true = int((truth & predicted).sum())
    precision = true / int(predicted.sum()) if predicted.any() else 0.0
    recall = true / int(truth.sum())
    f_measure = 2 * precision * recall / (precision + recall) if true else 0.0
    figures = f_measure, precision, recall, float(tied_average_precision(truth, score))
    return dict(zip(FIGURE_NAMES, figures, strict=True))
