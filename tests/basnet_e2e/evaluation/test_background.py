import numpy as np
import pytest

from basnet_e2e import BasnetError, Interval
from basnet_e2e.evaluation.background import background_detection, background_truth


def video(truth, predicted, score):
    return np.array(truth, bool), np.array(predicted, bool), np.array(score, np.float64)


def test_truth_is_decided_at_the_centre_of_a_snippet():
    start = np.arange(5) * 2.0
    # Centres 1, 3, 5, 7, 9.
    truth = background_truth(start, start + 2, [Interval("x", 3, 5), Interval("y", 6.5, 7.5)])
    assert truth.tolist() == [True, False, True, False, True]


def test_figures_over_the_snippets_of_all_videos():
    result = background_detection(
        [
            video([1, 1, 0, 0], [1, 0, 0, 0], [0.9, 0.4, 0.3, 0.2]),
            video([1, 0], [1, 1], [0.8, 0.6]),
        ]
    )
    ranked = (1 + 1 + 3 / 4) / 3  # 1, 1, 0, 1, 0, 0
    assert [*result.values()] == pytest.approx([2 / 3, 2 / 3, 2 / 3, ranked])


def test_equal_scores_share_a_place():
    forwards = background_detection([video([1, 0, 1, 0], [1] * 4, [0.5] * 4)])
    backwards = background_detection([video([0, 1, 0, 1], [1] * 4, [0.5] * 4)])
    assert forwards["average_precision"] == backwards["average_precision"] == 0.5


def test_nothing_predicted_is_a_zero_and_no_background_an_error():
    result = background_detection([video([1, 0], [0, 0], [0.1, 0.2])])
    assert [*result.values()][:3] == [0, 0, 0]
    with pytest.raises(BasnetError, match="no action is annotated"):
        background_detection([video([0, 0], [0, 1], [0.1, 0.2])])
