"""The loss of single rows, by hand and by its gradient."""

import numpy as np
import pytest
import torch

from basnet_e2e.heads.common.row_loss import RowBatch, background_seeds, row_loss

pytestmark = pytest.mark.usefixtures("one_thread")


def batch(share, weight, complete, place=None):
    return RowBatch(
        torch.tensor(share, dtype=torch.float64),
        torch.tensor(weight, dtype=torch.float64),
        torch.tensor(complete),
        torch.tensor(place or [0.0] * len(complete)),
    )


def test_a_part_of_the_annotated_videos_can_be_left_out():
    """Of two parts the second holds the places from .5; a video with points is never left out."""
    rows = batch([[[0, 1]]] * 3, [[1], [1], [1]], [True, True, False], [0.0, 0.5, 0.75])
    assert rows.without(0, 2).weight[:, 0].tolist() == [0, 1, 1]
    assert rows.without(1, 2).weight[:, 0].tolist() == [1, 0, 1]
    assert rows.without(0, 1).weight[:, 0].tolist() == [1, 1, 1]


def test_action_and_background_of_a_video_count_alike_and_videos_too():
    """Video 0: one action row and two of background; video 1: nothing known."""
    cas = torch.log(torch.tensor([[[0.5, 0.5], [0.2, 0.8], [0.4, 0.6]]] * 2, dtype=torch.float64))
    foreground = torch.tensor([[0.25, 0.5, 0.5]] * 2, dtype=torch.float64)
    rows = batch([[[1, 0], [0, 1], [0, 1]], [[0, 0]] * 3], [[1, 1, 1], [0, 0, 0]], [True, True])
    found = row_loss(cas, foreground, torch.ones(2, 3, dtype=torch.bool), rows)
    action = -np.log(0.5) - np.log(0.25)
    background = np.mean([-np.log(0.8), -np.log(0.6)]) - np.log(0.5)
    assert float(found) == pytest.approx((action + background) / 2)


def test_nothing_known_costs_nothing():
    cas = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    rows = batch([[[0, 0, 0]] * 2], [[0, 0]], [True])
    found = row_loss(cas, torch.full((1, 2), 0.5).double(), torch.ones(1, 2).bool(), rows)
    found.backward()
    assert float(found.detach()) == 0
    assert not cas.grad.any()


@pytest.mark.parametrize("complete", [True, False])
def test_gradient(complete):
    torch.manual_seed(0)
    cas = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    share = [[[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1], [0, 1, 0], [0, 0, 0]]] * 2
    rows = batch(share, [[1, 0.5 if complete else 0, float(complete), 1, 0]] * 2, [complete] * 2)
    mask = torch.ones(2, 5, dtype=torch.bool)

    def loss(cas, logits):
        return row_loss(cas, torch.sigmoid(logits), mask, rows)

    assert torch.autograd.gradcheck(loss, (cas, logits))


@pytest.mark.parametrize(
    ("points", "background", "seeds"),
    [
        # The likeliest row between two points, however likely.
        ([0, 3, 6], [0, 0.2, 0.4, 0, 0.99, 0.3, 0], [2, 4]),
        # Ahead of the first and behind the last one only where it is sure.
        ([3], [0.1, 0.99, 0.96, 0.0, 0.94, 0.2], [1]),
        ([1, 4], [0.9, 0.0, 0.3, 0.4, 0.0, 0.97], [3, 5]),
        ([1, 2], [0.0, 0.0, 0.0, 0.0], []),
    ],
)
def test_background_is_sought_between_points(points, background, seeds):
    holds = np.isin(np.arange(len(background)), points)
    assert background_seeds(holds, np.array(background, np.float64)) == seeds
