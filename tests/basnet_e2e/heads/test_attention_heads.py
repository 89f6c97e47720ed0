"""Heads that weigh snippets by attention, or hide them, against slow transcriptions."""

import itertools
import math

import numpy as np
import pytest
import torch
from by_hand import array, batch, made, read_as, rows, sigmoid, softmax
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.heads.baselines import maan, untrimmednet
from basnet_e2e.heads.baselines.hide_and_seek import HideAndSeek, HideSettings
from basnet_e2e.heads.common.decoding_rules import Prediction
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import find_head

pytestmark = pytest.mark.usefixtures("one_thread")

# STPN and MAAN -----------------------------------------------------------------------------------


def attention_by_hand(stream, x):
    hidden = np.maximum(x @ array(stream.squeeze.weight).T + array(stream.squeeze.bias), 0)
    return sigmoid(hidden @ array(stream.decide.weight)[0] + array(stream.decide.bias)[0])


@pytest.mark.parametrize("head", ["stpn", "maan"])
def test_attention_heads_by_hand(head):
    net, chosen = made(head, attention_hidden=5)
    videos = np.stack([rows(seed=1), rows(seed=2)])
    labels = [[1, 0, 1], [0, 0, 0]]
    entropy = norm = 0.0
    for stream, (low, high) in zip(net.streams, [(0, 4), (4, 6)], strict=True):
        for x, wanted in zip(videos[:, :, low:high], labels, strict=True):
            attention = attention_by_hand(stream, x)
            weights = attention / len(x) if head == "stpn" else shares_of_subsets(attention)
            mean = sum(w * each for w, each in zip(weights, x, strict=True))
            scores = sigmoid(array(stream.classify.weight) @ mean + array(stream.classify.bias))
            for p, y in zip(scores, wanted, strict=True):
                entropy -= (math.log(p) if y else math.log(1 - p)) / 3 / 2
            norm += sum(attention) / 2
    method = find_head(head)
    fed = batch(videos, labels)
    loss = method.loss(method.forward(net, fed, chosen), fed, chosen)
    wanted = entropy + (1e-4 * norm if head == "stpn" else 0)
    assert loss.total.item() == pytest.approx(wanted, rel=1e-12)


def shares_of_subsets(p):
    """E[z_i / sum z] over all subsets of rows, one by one."""
    shares = np.zeros(len(p))
    for z in itertools.product((0, 1), repeat=len(p)):
        if any(z):
            chance = np.prod([q if each else 1 - q for each, q in zip(z, p, strict=True)])
            shares += chance * np.array(z) / sum(z)
    return shares


def shares_by_recursion(p, rows=None):
    """The same by a recursion over rows: how likely is it that n of the others are in?"""
    shares = []
    for i in range(len(p)) if rows is None else rows:
        own = p[i]
        counts = np.array([1.0])
        for q in np.delete(p, i):
            counts = np.append(counts * (1 - q), 0) + np.append(0, counts * q)
        shares.append(own * (counts / np.arange(1, len(counts) + 1)).sum())
    return np.array(shares)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_expected_shares_against_all_subsets(p):
    found = maan.expected_shares(torch.tensor([p], dtype=torch.float64))[0]
    np.testing.assert_allclose(found, shares_of_subsets(p), atol=1e-13)
    np.testing.assert_allclose(shares_by_recursion(p), shares_of_subsets(p), atol=1e-13)


@pytest.mark.parametrize("count", [90, 200, 700])
def test_expected_shares_of_long_videos(count):
    p = np.random.default_rng(count).random(count) ** 3
    found = maan.expected_shares(torch.from_numpy(p[None]))[0].numpy()
    some = [0, count // 2, count - 1]
    np.testing.assert_allclose(found[some], shares_by_recursion(p, some), atol=1e-13)
    assert found.sum() == pytest.approx(1)


def test_stpn_reads_both_streams():
    attention = np.array([[0.9, 0.1], [0.9, 0.1], [0.01, 0.8], [0.01, 0.8], [0.01, 0.8]])
    activation = np.full((5, 2, 1), 0.5)
    activation[:2, 1] = 1.0
    prediction = Prediction(
        activation[:, 0], np.array([0.6]), None,
        {"attention": attention, "activation": activation},
    )  # fmt: skip
    assert (
        read_as("stpn", Prediction(prediction.raw, np.array([0.09]), None, prediction.extra)) == {}
    )
    found = read_as("stpn", prediction, upsample=1)[0]
    # Stream 0 is cut where .9 * .5 > .05, stream 1 everywhere; scores mix both activations.
    assert found == [
        (0, 2, pytest.approx(0.9 * 0.75)),
        (0, 5, pytest.approx((2 * 0.1 * 0.75 + 3 * 0.8 * 0.5) / 5)),
    ]


# UntrimmedNet ------------------------------------------------------------------------------------


def test_untrimmednet_by_loops():
    net, chosen = made("untrimmednet", shots=2, shot_rows=3)
    videos = np.stack([rows(6, seed=1), rows(6, seed=2)])
    labels = [[1, 1, 0], [0, 0, 1]]
    total = 0.0
    for stream, (low, high) in zip(net.streams, [(0, 4), (4, 6)], strict=True):
        for x, y in zip(videos[:, :, low:high], labels, strict=True):
            shots = [x[first : first + 3].mean(0) for first in (0, 3)]
            logits = [
                array(stream.classify.weight) @ s + array(stream.classify.bias) for s in shots
            ]
            attend = [
                array(stream.attend.weight)[0] @ s + array(stream.attend.bias)[0] for s in shots
            ]
            weights = np.exp(attend) / np.exp(attend).sum()
            p = sum(w * softmax(each) for w, each in zip(weights, logits, strict=True))
            total -= sum(math.log(p[c]) / sum(y) for c in range(3) if y[c]) / 2
    method, fed = find_head("untrimmednet"), batch(videos, labels)
    loss = method.loss(method.forward(net, fed, chosen), fed, chosen)
    assert loss.total.item() == pytest.approx(total, rel=1e-12)


def test_untrimmednet_scores_and_rates():
    net, chosen = made("untrimmednet", shape=Shape(4, 3))
    x = rows(5, 4)
    prediction = find_head("untrimmednet").predict(net, torch.from_numpy(x), chosen)
    stream = net.streams[0]
    logits = x @ array(stream.classify.weight).T + array(stream.classify.bias)
    attend = x @ array(stream.attend.weight)[0] + array(stream.attend.bias)[0]
    shares = softmax(attend / 3)
    np.testing.assert_allclose(prediction.video_scores, softmax((shares[:, None] * logits).sum(0)))
    np.testing.assert_allclose(prediction.raw, softmax(logits, 1))
    np.testing.assert_allclose(prediction.foreground, softmax(attend) / softmax(attend).max())
    for step, wanted in [(0, (1e-3, 5e-3)), (6000, (1e-4, 5e-3)), (8000, (1e-4, 5e-4)),
                         (15000, (0, 5e-4)), (16000, (0, 5e-5))]:  # fmt: skip
        found = untrimmednet.stream_rates(1e-3, 5e-3, step / 20000)
        assert found == pytest.approx(list(wanted))


def test_untrimmednet_reads_dilated_runs():
    curve = np.array([0.0, 0, 0.2, 1.0, 0, 0, 0, 0.1, 0.3])[:, None]
    # Means of neighbours: 0 .1 .6 .5 0 0 .05 .2 .3; above half of .6 only row 2 and 3.
    found = read_as("untrimmednet", Prediction(curve, np.array([0.5])))[0]
    assert found == [(1, 5, pytest.approx((0.1 + 0.6 + 0.5 + 0) / 4 + 0.2 * 0.5))]


def test_untrimmednet_samples_parts():
    chosen = preset("official", head="untrimmednet")
    x = np.arange(700, dtype=np.float32)[:, None]
    drawn = find_head("untrimmednet").sample(x, chosen, np.random.default_rng(0))
    assert drawn.shape == (21, 1)
    shots = drawn.reshape(7, 3)
    assert (
        (shots >= 100 * np.arange(7)[:, None]) & (shots <= 100 * np.arange(1, 8)[:, None])
    ).all()


# Hide-and-Seek -----------------------------------------------------------------------------------


def test_hide_and_seek_by_hand():
    torch.manual_seed(0)
    net = HideAndSeek(Shape(6, 3), HideSettings(hidden=4, segment_rows=2)).double()
    net.mean.fill_(0.5)
    x = rows(5)

    def by_hand(x):
        hidden = np.maximum(x @ array(net.first.weight).T + array(net.first.bias), 0)
        hidden = np.maximum(hidden @ array(net.second.weight).T + array(net.second.bias), 0)
        highest = np.array([max(hidden[:, c]) for c in range(4)])
        cas = hidden @ array(net.classify.weight).T
        return array(net.classify.weight) @ highest + array(net.classify.bias), cas

    for training in (False, True):
        net.train(training)
        torch.manual_seed(7)
        output = net(torch.from_numpy(x)[None])
        torch.manual_seed(7)
        hide = net.hidden_rows(torch.from_numpy(x)[None])[0].numpy() & training
        logits, cas = by_hand(np.where(hide[:, None], 0.5, x))
        np.testing.assert_allclose(array(output.logits)[0], logits, rtol=1e-12)
        np.testing.assert_allclose(array(output.cas)[0], cas, rtol=1e-12, atol=1e-14)
    drawn = net.hidden_rows(torch.zeros(4000, 5, 6))
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    assert torch.equal(drawn[:, 2], drawn[:, 3])
    assert drawn.double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_hide_and_seek_is_cut_at_half_of_its_maximum():
    curve = np.array([-1.0, 1, 4, 3, 2.1, 1.9, 0])[:, None]
    found = read_as("hide-and-seek", Prediction(curve, np.array([0.5])), upsample=1)
    assert found == {0: [(2, 5, pytest.approx(found[0][0][2]))]}


def test_hide_and_seek_measures_the_mean(tree):
    from basnet_e2e.data.features.dataset import load_features

    videos = load_features(tree, subset="train").videos
    data = type("Set", (), {"videos": videos})
    net, chosen = made("hide-and-seek", shape=Shape(12, 2), hidden=3)
    find_head("hide-and-seek").prepare(net, data, chosen)
    np.testing.assert_allclose(net.mean, np.concatenate([v.x for v in videos]).mean(0), rtol=1e-5)
