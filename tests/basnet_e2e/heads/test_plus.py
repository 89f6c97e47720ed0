"""Plus: each ingredient by hand or against a slow transcription."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import array, batch, made, rows, sigmoid, softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from basnet_e2e import BasnetError
from basnet_e2e.heads.common.decoding_rules import Proposals
from basnet_e2e.heads.common.pca import Projection
from basnet_e2e.heads.common.suppression import LEAST_SCORE
from basnet_e2e.heads.plus import head as plus
from basnet_e2e.heads.plus.guided_filter import PER_ROW, guided_mean, stretched_time
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.intervals import temporal_iou

pytestmark = pytest.mark.usefixtures("one_thread")

# Features ----------------------------------------------------------------------------------------


def test_principal_axes_are_those_of_a_singular_value_decomposition():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)
    project = Projection(5, 2)
    project.measure([x[:20], x[20:]])
    found = array(project(torch.from_numpy(x)))
    left, singular, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    wanted = left[:, :2] * singular[:2]
    wanted /= math.sqrt((wanted**2).mean())
    for one, other in zip(found.T, wanted.T, strict=True):
        assert min(abs(one - other).max(), abs(one + other).max()) < 1e-3  # a sign is free
    assert (found**2).mean() == pytest.approx(1, rel=1e-3)


def test_more_axes_than_features_are_those_there_are():
    project = Projection(3, 256)
    assert project.width == 3
    # Features that never change are nothing, not infinite.
    project.measure([np.ones((4, 3), np.float32)])
    assert array(project(torch.ones(2, 3))).tolist() == [[0] * 3] * 2


# Network and loss --------------------------------------------------------------------------------


def test_loss_by_loops():
    net, chosen = made("plus", components=4, networks=2, hidden=5, attention_hidden=4, norm=0.3)
    net.project.measure([rows(20, seed=4).astype(np.float32)])
    videos = np.stack([rows(9, seed=1), rows(9, seed=2), rows(9, seed=3)])
    labels = [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    base, supp, norm = [], [], []
    for one, (x, y) in itertools.product(net.networks, zip(videos, labels, strict=True)):
        z = (x - array(net.project.mean)) @ array(net.project.axes)
        hidden = np.maximum(z @ array(one.embed.weight).T + array(one.embed.bias), 0)
        cas = hidden @ array(one.classify.weight).T + array(one.classify.bias)
        inner = np.maximum(z @ array(one.squeeze.weight).T + array(one.squeeze.bias), 0)
        weight = sigmoid(inner @ array(one.decide.weight)[0] + array(one.decide.bias)[0])
        for terms, curve, background in ((base, cas, 1), (supp, cas * weight[:, None], 0)):
            pooled = [np.mean(sorted(curve[:, c])[-2:]) for c in range(4)]  # 9 // 4 highest
            targets = [*y, background]
            if sum(targets):
                logs = np.log(softmax(np.array(pooled)))
                terms.append(-sum(t * log for t, log in zip(targets, logs, strict=True)))
                terms[-1] /= sum(targets)
        norm.append(weight.mean())
    assert (len(base), len(supp)) == (6, 4)  # no example without label
    method, fed = find_head("plus"), batch(videos, labels)
    loss = method.loss(method.forward(net, fed, chosen), fed, chosen)
    wanted = {"base": np.mean(base), "suppression": np.mean(supp), "norm": np.mean(norm)}
    for name, value in wanted.items():
        assert loss.parts[name].item() == pytest.approx(value, rel=1e-6), name
    total = wanted["base"] + wanted["suppression"] + 0.3 * wanted["norm"]
    assert loss.total.item() == pytest.approx(total, rel=1e-6)


def test_several_networks_are_read_as_their_mean():
    net, chosen = made("plus", components=4, networks=3, hidden=5, attention_hidden=4)
    x = torch.from_numpy(rows(9))
    parts = [net(x[None]).cas[each, 0] for each in range(3)]
    assert (parts[0] != parts[1]).any()
    found = find_head("plus").predict(net, x, chosen.changed(reach=0.0, weighting=0.0)).raw
    assert found == pytest.approx(softmax(array(sum(parts) / 3)))


def test_some_networks_see_rows_less_their_mean_over_the_video():
    """A scene that is added to all rows changes nothing to them; padding does not count."""
    net, _ = made("plus", components=4, networks=2, hidden=5, attention_hidden=4, centred=0.5)
    x = torch.from_numpy(rows(9))
    padding = torch.zeros(2, x.shape[1])
    long = torch.stack([torch.cat([each, padding]) for each in (x, x + 1)])
    cas = net(long, torch.tensor([9, 9])).cas[:, :, :9]
    assert torch.allclose(cas[0, 0], cas[0, 1], atol=1e-5)
    assert not torch.allclose(cas[1, 0], cas[1, 1], atol=1e-2)
    assert torch.allclose(cas[:, 0], net(x[None]).cas[:, 0], atol=1e-5)


def test_what_a_network_alone_says_is_its_part_of_all():
    net, _ = made("plus", components=4, networks=2, hidden=5, attention_hidden=4, centred=0.5)
    x = torch.from_numpy(rows(9))[None]
    for place, index in ((0.0, 0), (0.49, 0), (0.5, 1)):
        alone = find_head("plus").unaware(net, place)
        assert torch.equal(alone(x).cas[0], net(x).cas[index])


# Guided mean -------------------------------------------------------------------------------------


def test_time_is_stretched_by_changes():
    x = np.array([[2.0, 0], [4, 0], [0, 1], [0, -1], [0, 0]])
    steps = np.diff(stretched_time(x))
    # The same direction, a right angle, the opposite, and none at all.
    assert steps == pytest.approx([PER_ROW, 1 + PER_ROW, 2 + PER_ROW, 1 + PER_ROW])
    assert stretched_time(x[:1]).tolist() == [0]


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-5, 5)),
    st.floats(0.05, 3),
)
@settings(max_examples=40, deadline=None)
def test_guided_mean_by_all_pairs(values, reach):
    places = stretched_time(np.cumsum(values + 0.1, axis=0))
    weights = np.exp(-abs(places[:, None] - places) / reach)
    wanted = weights @ values / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(guided_mean(values, places, reach), wanted, atol=1e-9)


def test_a_guided_mean_calms_but_keeps_borders():
    rng = np.random.default_rng(1)
    inside = np.arange(40) // 10 % 2
    x = np.eye(2)[inside]
    noisy = inside + rng.normal(0, 0.3, 40)
    calm = guided_mean(noisy[:, None], stretched_time(x), 0.3)[:, 0]
    assert abs(calm - inside).max() < 0.3 < abs(noisy - inside).max()
    assert ((calm > 0.5) == inside).all()
    assert (guided_mean(noisy[:, None], stretched_time(x), 0.0)[:, 0] == noisy).all()


# Decoding ----------------------------------------------------------------------------------------

CAS = np.log(np.array([[2.0, 1, 1], [1, 1, 8], [6, 2, 2], [1, 8, 1]]))
WEIGHTS = np.array([1.0, 0.5, 0.5, 0])
X = np.eye(4)


def prediction(**changes):
    chosen = preset("small", head="plus", **{"reach": 0.0, "weighting": 0.0, "ratio": 2} | changes)
    return plus.predicted(CAS, WEIGHTS, X, chosen.own_as(plus.PlusSettings), chosen.decoding)


def test_shares_are_cut():
    found = prediction()
    assert found.raw == pytest.approx(
        np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    )
    assert found.foreground == pytest.approx(WEIGHTS)


def test_the_suppressed_activation_is_cut():
    found = prediction(activation="suppressed", normalise="minmax")
    assert found.raw == pytest.approx(CAS * WEIGHTS[:, None])


def test_shares_are_weighted_by_the_foreground():
    plain, weighted = prediction(), prediction(weighting=0.5)
    assert weighted.raw == pytest.approx(plain.raw * np.sqrt(WEIGHTS)[:, None])
    assert (weighted.foreground == plain.foreground).all()


def test_class_scores_are_of_the_suppressed_activation():
    found = prediction()
    pooled = [
        (math.log(2) + math.log(6) / 2) / 2,
        math.log(2) / 2 / 2,
        (math.log(8) / 2 + math.log(2) / 2) / 2,
    ]
    assert found.video_scores == pytest.approx(softmax(np.array(pooled))[:2])


def test_reach_averages_what_is_cut():
    far, near = prediction(reach=50.0), prediction()
    assert np.ptp(far.raw, axis=0).max() < 0.05 < np.ptp(near.raw, axis=0).min()
    assert np.ptp(far.foreground) < 0.05 < np.ptp(near.foreground)
    same = prediction(reach=50.0, activation="suppressed").raw
    assert np.ptp(same, axis=0).max() < np.ptp(CAS * WEIGHTS[:, None], axis=0).min()


def test_soft_suppression_by_loops():
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 10, 12)
    found = Proposals(start, start + rng.uniform(1, 5, 12), rng.uniform(0.1, 1, 12))
    decoding = preset("small", head="plus", suppression="soft").decoding
    kept = plus.suppress(found, decoding)
    left = list(zip(found.start, found.end, found.score, strict=True))
    wanted = []
    while left:
        best = max(left, key=lambda each: each[2])
        left.remove(best)
        if best[2] >= LEAST_SCORE:
            wanted.append(best)
        sigma = decoding.soft_sigma
        left = [
            (a, b, score * np.exp(-(float(temporal_iou(best[0], best[1], a, b)) ** 2) / sigma))
            for a, b, score in left
        ]
    np.testing.assert_allclose(np.column_stack([kept.start, kept.end, kept.score]), wanted)
    assert (np.diff(kept.score) <= 0).all()


def test_hard_suppression_is_strict():
    found = Proposals(np.array([0.0, 2, 9]), np.array([4.0, 6, 10]), np.array([0.9, 0.8, 0.7]))
    decoding = preset("small", head="plus", suppression="hard", nms_iou=0.3).decoding
    assert plus.suppress(found, decoding).start.tolist() == [0, 9]
    lax = plus.suppress(found, replace(decoding, nms_iou=0.7))
    assert lax.start.tolist() == [0, 2, 9]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": "base"}, "has no recipes"),
        ({"soft_sigma": 0.0}, "soft_sigma is above 0"),
        ({"reach": -1.0}, "reach is 0 or more"),
        ({"weighting": -1.0}, "weighting is 0 or more"),
        ({"dropout": 1.0}, "dropout is within"),
        ({"centred": 1.5}, "centred is within"),
        ({"activation": "cas"}, "activation is one of shares, suppressed"),
    ],
)
def test_settings_that_cannot_be(changes, said):
    with pytest.raises(BasnetError, match=said):
        preset("small", head="plus", **changes)
