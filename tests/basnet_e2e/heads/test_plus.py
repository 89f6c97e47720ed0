"""BaS-Net's network read otherwise: each ingredient by hand."""

import numpy as np
import pytest

from basnet_e2e import BasnetError
from basnet_e2e.heads import plus
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.rules import Proposals, Seen
from basnet_e2e.intervals import temporal_iou

SEEN = Seen(np.array([[0.0], [2], [4], [-1]]), np.array([0.9]), np.array([1.0, 0.5, 0.25, 1]))


@pytest.mark.parametrize(
    ("curve", "wanted"),
    [
        ("activation", [[0, 0.5, 1, -0.25]]),
        ("product", [[0, 0.25, 0.25, -0.25]]),
        ("both", [[0, 0.5, 1, -0.25], [0, 0.25, 0.25, -0.25]]),
    ],
)
def test_curves(curve, wanted):
    reading = preset("small", head="plus", curve=curve).reading
    assert [each.cut.tolist() for each in plus.curves(SEEN, 0, reading)] == wanted


def test_without_foreground_weights_activation_is_cut():
    reading = preset("small", head="plus", curve="both").reading
    assert len(plus.curves(Seen(SEEN.raw, SEEN.video_scores), 0, reading)) == 1


def test_soft_suppression_by_loops():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 10, 12)
    found = Proposals(start, start + rng.uniform(1, 5, 12), rng.uniform(0.1, 1, 12))
    kept = plus.suppress(found, preset("small", head="plus", suppression="soft").reading)
    left = list(zip(found.start, found.end, found.score, strict=True))
    wanted = []
    while left:
        best = max(left, key=lambda each: each[2])
        left.remove(best)
        if best[2] >= plus.LEAST_SCORE:
            wanted.append(best)
        left = [
            (a, b, score * np.exp(-(float(temporal_iou(best[0], best[1], a, b)) ** 2) / 0.3))
            for a, b, score in left
        ]
    np.testing.assert_allclose(np.column_stack([kept.start, kept.end, kept.score]), wanted)
    assert (np.diff(kept.score) <= 0).all()


def test_hard_suppression_is_strict():
    found = Proposals(np.array([0.0, 2, 9]), np.array([4.0, 6, 10]), np.array([0.9, 0.8, 0.7]))
    kept = plus.suppress(found, preset("small", head="plus", suppression="hard").reading)
    assert kept.start.tolist() == [0, 9]
    lax = preset("small", head="plus", suppression="hard", nms_iou=0.7).reading
    lax = plus.suppress(found, lax)
    assert lax.start.tolist() == [0, 2, 9]


def test_it_trains_as_basnet():
    ours, basnet = preset("small", head="plus"), preset("small")
    assert ours.learnt() | {"head": "basnet"} == basnet.learnt()
    with pytest.raises(BasnetError, match="has no recipes"):
        preset("small", head="plus", recipe="base")
    with pytest.raises(BasnetError, match="soft_sigma is above 0"):
        preset("small", head="plus", soft_sigma=0.0)
