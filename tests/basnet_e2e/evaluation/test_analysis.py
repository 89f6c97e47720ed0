"""Error kinds, lengths, confidence and classification on cases small enough to count by hand."""

import numpy as np
import pytest

from basnet_e2e.data.annotations.predictions import Predictions
from basnet_e2e.evaluation.analysis import (
    bootstrap,
    by_length,
    classification,
    false_positives,
    weighted_average_precision,
)
from basnet_e2e.evaluation.evaluate import average_precision, prepare
from basnet_e2e.intervals import Interval


def test_each_kind_of_false_positive():
    truth = {"a": [Interval("x", 0, 10), Interval("y", 20, 30)]}
    found = {
        "a": [
            Interval("x", 0, 10, 0.9),
            Interval("x", 0, 9, 0.8),  # the action is taken
            Interval("x", 7, 14, 0.7),  # IoU 3/14
            Interval("x", 21, 29, 0.6),  # an action of the class y
            Interval("x", 12, 19, 0.5),
            Interval("x", 9.5, 18, 0.4),  # IoU .5/18 is below .1
        ]
    }
    errors = false_positives(prepare(found, truth), 0.5)
    assert (errors.looked_at, errors.true) == (6, 1)
    assert errors.false == {
        "double detection": 1,
        "localisation": 1,
        "wrong label": 1,
        "background": 2,
    }


def test_only_the_best_detections_of_a_class_are_looked_at():
    truth = {"a": [Interval("x", 0, 1)]}
    found = {"a": [Interval("x", 2, 3, 1 / n) for n in range(1, 31)]}
    assert false_positives(prepare(found, truth)).false["background"] == 10


def test_lengths_are_judged_apart():
    truth = {"a": [Interval("x", 0, 2), Interval("x", 10, 14), Interval("x", 20, 24)]}
    found = {"a": [Interval("x", 10, 14, 0.9), Interval("x", 5, 6, 0.8), Interval("x", 0, 2, 0.7)]}
    short, medium = by_length(prepare(found, truth), 0.5)
    # The false detection is 1 s long, so it counts among the short ones only.
    assert (short.seconds, short.ground_truth, short.recall, short.map) == ((0, 3), 1, 1, 0.5)
    assert (medium.seconds, medium.ground_truth) == ((3, 6), 2)
    assert (medium.recall, medium.map) == (0.5, 0.5)


def test_weighted_precision_is_that_of_repeated_videos():
    generator = np.random.default_rng(0)
    for _ in range(50):
        hits = generator.random((3, 20)) < 0.4
        weights = generator.integers(0, 4, 20)
        positives = int((hits.max(axis=0) * weights).sum()) + 2
        expected = average_precision(np.repeat(hits, weights, axis=1), positives)
        got = weighted_average_precision(hits, weights[None].astype(float), np.array([positives]))
        np.testing.assert_allclose(got[0], expected, atol=1e-12)


def test_confidence_holds_the_figure_and_narrows_with_more_videos():
    def width(count):
        generator = np.random.default_rng(3)
        truth = {str(n): [Interval("x", 0, 10)] for n in range(count)}
        found = {
            name: [Interval("x", 0, 10 * generator.uniform(0.2, 1), generator.random())]
            for name in truth
        }
        case = prepare(found, truth)
        bounds = bootstrap(case, [0.5], draws=300)
        hit = case.taken(0.5) >= 0
        assert bounds.low[0] < average_precision(hit, count) < bounds.high[0]
        return bounds.high[0] - bounds.low[0]

    assert width(200) < 0.6 * width(20)


def test_bootstrap_is_certain_where_all_videos_are_alike():
    truth = {str(n): [Interval("x", 0, 10)] for n in range(5)}
    bounds = bootstrap(prepare(truth, truth), draws=50)
    assert bounds.average == (1.0, 1.0)


def test_classification_by_video_scores():
    truth = {
        "a": [Interval("x", 0, 1)],
        "b": [Interval("y", 0, 1), Interval("x", 2, 3)],
        "c": [Interval("y", 0, 1)],
        "d": [],
    }
    scores = {
        "a": {"x": 0.9, "y": 0.1},
        "b": {"x": 0.3, "y": 0.7},
        "c": {"x": 0.6, "y": 0.4},
        "d": {"x": 1.0},
    }
    result = classification(prepare(Predictions({name: [] for name in truth}, scores), truth))
    assert result is not None
    assert result.videos == 3
    assert result.accuracy == pytest.approx(2 / 3)
    # x: a, c, b ranked -> precision 1, then 2/3; y: b, c, a -> 1, 1.
    assert result.map == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)


def test_no_scores_no_classification():
    truth = {"a": [Interval("x", 0, 1)]}
    assert classification(prepare({"a": []}, truth)) is None
