"""The second stage: what it sees of proposals, and what it does to them."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from basnet_e2e.heads.common.decoding_rules import Prediction, Proposals
from basnet_e2e.heads.common.proposal_features import WIDTH, RowCurves, describe, mirrored, read_at
from basnet_e2e.heads.common.second_stage import SecondStage
from basnet_e2e.training.second_stage import (
    best_apart,
    holding,
    second_stage_loss,
    targets_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")
FEATURES = 5


def video(rows, seed=0):
    rng = np.random.default_rng(seed)
    axes, shares = rng.normal(size=(rows, FEATURES)), rng.random((rows, 2))
    return axes, rng.random(rows), shares, rng.random(rows)


def proposals(*rows):
    start, end, score = np.array(rows, np.float64).T
    return Proposals(start, end, score)


def test_values_are_linear_between_the_middles_of_rows():
    values = np.array([[0.0], [1.0], [3.0]])
    found = read_at(values, np.array([-1.0, 0.5, 1.0, 2.0, 2.5, 9.0]))
    assert found[:, 0].tolist() == [0, 0, 0.5, 2, 3, 3]
    assert read_at(values[:1], np.array([0.2, 4.0])).tolist() == [[0], [0]]


@given(st.integers(1, 12), st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 1)), min_size=1))
@example(5, [(0.0, 0.9999999999999999)])
def test_a_video_played_backwards_has_mirrored_features(rows, pairs):
    places = np.array(
        [(rows * low * 0.9, rows * low * 0.9 + rows * 0.1 * share) for low, share in pairs]
    )
    parts = video(rows)
    there = describe(RowCurves.of(*parts), places[:, 0], places[:, 1])
    back = describe(
        RowCurves.of(*(part[::-1] for part in parts)), rows - places[:, 1], rows - places[:, 0]
    )
    assert there.shape == (len(pairs), WIDTH)
    np.testing.assert_allclose(mirrored(there), back, rtol=1e-3, atol=1e-3)


def test_an_untaught_stage_moves_no_border():
    axes, curve, _shares, foreground = video(9)
    stage = SecondStage(FEATURES).eval()
    curves = stage.class_curves(
        Prediction(np.zeros((9, 3)), np.zeros(2), foreground), axes.astype(np.float32)
    )
    found = proposals((1, 4, 0.5), (2.5, 8, 0.1))
    moved = stage.correct(curves(0, curve), found)
    np.testing.assert_array_equal(moved.start, found.start)
    np.testing.assert_array_equal(moved.end, found.end)
    np.testing.assert_allclose(moved.score, (found.score + 0.5) / 2)


def test_a_border_moves_as_far_as_the_networks_agree():
    """The start: all say .1; the end: half say .2 and half 0, so that .1 becomes .05."""
    axes, curve, _shares, foreground = video(9)
    stage = SecondStage(FEATURES).eval()
    with torch.no_grad():
        stage.biases[-1][:, 0, 1] = 0.1
        stage.biases[-1][::2, 0, 2] = 0.2
    prediction = Prediction(np.zeros((9, 3)), np.zeros(2), foreground)
    curves = stage.class_curves(prediction, axes.astype(np.float32))
    moved = stage.correct(curves(0, curve), proposals((1, 5, 0.5)))
    assert moved.start == pytest.approx([1.4])
    assert moved.end == pytest.approx([5.2])


def test_targets_are_the_overlap_with_the_nearest_action_and_its_borders():
    actions = np.array([(0.0, 4.0), (6.0, 8.0)])
    found = targets_of(proposals((1, 4, 1), (5, 9, 1)), actions)
    np.testing.assert_allclose(found, [(0.75, -1 / 3, 0), (0.5, 0.25, -0.25)])
    assert targets_of(proposals((1, 4, 1)), np.zeros((0, 2))).tolist() == [[0, 0, 0]]


def test_a_point_belongs_to_the_best_proposal_that_holds_no_other_point():
    found = proposals((0, 9, 0.9), (0, 3, 0.5), (1, 4, 0.6), (6, 7, 0.1))
    held = holding(found, np.array([2.0, 6.5, 20.0]))
    assert held.tolist() == [[1, 4], [6, 7]]
    assert holding(found, np.zeros(0)).shape == (0, 2)


def test_pseudo_intervals_do_not_overlap_and_are_among_the_best():
    found = proposals((0, 2, 0.9), (1, 3, 0.8), (4, 5, 0.5), (7, 8, 0.4))
    assert best_apart(found).tolist() == [[0, 2], [4, 5]]
    assert best_apart(found.take(np.array([], int))).shape == (0, 2)


def test_borders_teach_only_where_a_proposal_meets_an_action():
    said = torch.tensor([[0.3, 0.1, -0.2], [2.0, 5.0, 5.0]], dtype=torch.float64)
    said.requires_grad_()
    targets = torch.tensor([[0.6, 0.0, 0.3], [0.1, 0.0, 0.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(second_stage_loss, (said, targets))
    second_stage_loss(said, targets).backward()
    assert said.grad[0, 1:].all()
    assert not said.grad[1, 1:].any()
