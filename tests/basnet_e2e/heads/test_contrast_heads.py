"""Heads that compare videos, branches or borders, against slow transcriptions."""

import itertools
import math

import numpy as np
import pytest
import torch
from by_hand import SHAPE, array, batch, made, read_as, rows, softmax
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.heads.baselines import autoloc
from basnet_e2e.heads.baselines.autoloc import outer_inner_loss
from basnet_e2e.heads.baselines.cmcs import static_runs
from basnet_e2e.heads.baselines.wtalc import choose_pairs
from basnet_e2e.heads.common.decoding_rules import Prediction, Proposals
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import find_head

pytestmark = pytest.mark.usefixtures("one_thread")

# W-TALC ------------------------------------------------------------------------------------------


def distance(a, b):
    return 1 - a @ b / math.sqrt(a @ a) / math.sqrt(b @ b)


def test_wtalc_by_loops():
    """Two tiny videos that share two of three classes."""
    net, chosen = made("wtalc", hidden=5, pairs=1)
    videos = np.stack([rows(9, seed=1), rows(9, seed=2)])
    labels = [[1, 1, 0], [1, 1, 1]]
    embedded, cases, entropy = [], [], 0.0
    for x, y in zip(videos, labels, strict=True):
        hidden = np.maximum(x @ array(net.embed.weight).T + array(net.embed.bias), 0)
        cas = hidden @ array(net.classify.weight).T + array(net.classify.bias)
        scores = [np.mean(sorted(cas[:, c])[-2:]) for c in range(3)]  # ceil(9 / 8) highest
        for c in range(3):
            entropy -= y[c] / sum(y) * math.log(softmax(np.array(scores))[c]) / 2
        embedded.append(hidden)
        cases.append(cas)
    pairs = []
    for j in (0, 1):
        means = []
        for hidden, cas in zip(embedded, cases, strict=True):
            weights = softmax(cas[:, j])
            high = sum(w * row for w, row in zip(weights, hidden, strict=True))
            low = sum((1 - w) * row for w, row in zip(weights, hidden, strict=True)) / 8
            means.append((high, low))
        (h1, l1), (h2, l2) = means
        near = distance(h1, h2)
        pairs.append(
            0.5 * (max(0, near - distance(h1, l2) + 0.5) + max(0, near - distance(h2, l1) + 0.5))
        )
    assert min(pairs) > 0  # the hinge is open
    method, fed = find_head("wtalc"), batch(videos, labels)
    loss = method.loss(method.forward(net, fed, chosen), fed, chosen)
    assert loss.parts["classes"].item() == pytest.approx(entropy, rel=1e-12)
    assert loss.parts["co_activity"].item() == pytest.approx(np.mean(pairs), rel=1e-12)
    assert loss.total.item() == pytest.approx(0.5 * entropy + 0.5 * np.mean(pairs), rel=1e-12)


def test_wtalc_without_a_pair_has_no_co_activity():
    net, chosen = made("wtalc", hidden=5)
    fed = batch(np.stack([rows(), rows(seed=1)]), [[1, 0, 0], [0, 1, 0]])
    loss = find_head("wtalc").loss(net(fed.x), fed, chosen)
    assert loss.parts["co_activity"].item() == 0


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_pairs_share_a_class(step):
    labels = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 3, 0, 1]]
    chosen = choose_pairs(labels, step, 0, 8, 3)
    assert len(chosen) == len(set(chosen)) == 8
    for first in (0, 2, 4):
        assert labels[chosen[first]] @ labels[chosen[first + 1]] > 0
    assert chosen == choose_pairs(labels, step, 0, 8, 3)
    assert len(choose_pairs(np.eye(3, dtype=np.float32), step, 0, 8, 3)) == 3


def test_wtalc_reads_by_the_middle_of_the_range():
    cas = np.array([[-2.0, 1], [4, 1], [3, 1], [-2, 1], [2, 1], [-3, 1]])
    found = read_as("wtalc", Prediction(cas, np.array([3.5, -0.1])))
    # Threshold 4 - 7 / 2 = .5; the run of one row is left out, as is the class below 0.
    assert found == {0: [(1, 3, pytest.approx(4 + 0.7 * 3.5))]}
    below = read_as("wtalc", Prediction(cas - 10, np.array([3.5, -0.1])))
    assert below == {0: [(1, 3, pytest.approx(-6 + 0.7 * 3.5))]}


# CMCS --------------------------------------------------------------------------------------------


def test_cmcs_by_loops():
    net, chosen = made("cmcs", hidden=4, branch_hidden=3, branches=3)
    videos = np.stack([rows(5, seed=1), rows(5, seed=2), rows(5, seed=3)])
    labels = [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    entropy, cosines, norms = 0.0, [], []
    for x, y in zip(videos, labels, strict=True):
        shared = np.maximum(x @ array(net.share.weight).T + array(net.share.bias), 0)
        around = np.pad(shared, ((1, 1), (0, 0)))
        branches = []
        for look, classify in zip(net.look, net.classify, strict=True):
            hidden = sum(
                around[tap : tap + 5] @ array(look.weight)[:, :, tap].T for tap in range(3)
            )
            hidden = np.maximum(hidden + array(look.bias), 0)
            branches.append(hidden @ array(classify.weight).T + array(classify.bias))
        hidden = np.maximum(shared @ array(net.squeeze.weight).T + array(net.squeeze.bias), 0)
        attend = softmax(hidden @ array(net.attend.weight)[0] + array(net.attend.bias)[0])
        scores = softmax(sum(a * row for a, row in zip(attend, np.mean(branches, 0), strict=True)))
        wanted = [*y, 0] if sum(y) else [0, 0, 0, 1]
        entropy -= (
            sum(w / sum(wanted) * math.log(s) for w, s in zip(wanted, scores, strict=True)) / 3
        )
        for one, other in itertools.combinations(branches, 2):
            for c in range(4):
                cosines.append(1 - distance(softmax(one, 1)[:, c], softmax(other, 1)[:, c]))
        for c in range(4):
            sizes = [abs(branch[:, c]).sum() / 5 for branch in branches]
            norms += [abs(size - np.mean(sizes)) for size in sizes]
    method, fed = find_head("cmcs"), batch(videos, labels)
    loss = method.loss(method.forward(net, fed, chosen), fed, chosen)
    assert loss.parts["classes"].item() == pytest.approx(entropy, rel=1e-12)
    assert loss.parts["diversity"].item() == pytest.approx(np.mean(cosines), rel=1e-12)
    assert loss.parts["balance"].item() == pytest.approx(np.mean(norms), rel=1e-12)
    total = entropy + 0.2 * np.mean(cosines) + 0.2 * np.mean(norms)
    assert loss.total.item() == pytest.approx(total, rel=1e-12)


def test_cmcs_reads_widened_runs_above_the_mean():
    rows = np.zeros((20, 2))
    rows[8:11, 0] = 0.5  # scaled to 1
    found = read_as("cmcs", Prediction(rows, np.array([0.4])))[0]
    assert len(found) == 1
    start, end, score = found[0]
    # The mean is 3 / 20, reached near the centre of the row before; 15 samples more on each side.
    assert start == pytest.approx(7.5 + 0.15 - 15 / 24, abs=1 / 24)
    assert end == pytest.approx(11.5 - 0.15 + 15 / 24, abs=1 / 24)
    assert score == pytest.approx(3 / (end - start) + 0.25 * 0.4, abs=0.02)


def test_static_rows_are_found_as_videos_of_background():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    x[12:20] = x[12] + 0.001 * rng.normal(size=(8, 6))
    assert static_runs(x, 3) == [(12, 19)]
    from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures

    start = np.arange(40) * 0.64
    video = VideoFeatures("v", x, start, start + 0.64, 25.6, {})
    data = LabelledSet([video], [("a",)], ("a", "b"), {})
    found = find_head("cmcs").videos(data, preset("small", head="cmcs"))
    assert found.labels == [("a",), ()]
    np.testing.assert_array_equal(found.videos[1].x, x[12:19])
    assert find_head("cmcs").videos(data, preset("small", head="cmcs", static="none")) is data


# AutoLoc -----------------------------------------------------------------------------------------


def by_sums(curve, start, end):
    """The outer-inner loss from the part of each row that lies inside and around."""

    def part(row, low, high):
        return max(0.0, min(high, row + 1) - max(low, row))

    ring, rows = max(0.25 * (end - start), 1), range(len(curve))
    inner = [part(row, start, end) for row in rows]
    outer = [part(row, start - ring, end + ring) - inner[row] for row in rows]
    if sum(inner) < 1e-3:
        return 1.0
    inside = sum(w * v for w, v in zip(inner, curve, strict=True)) / sum(inner)
    around = sum(w * v for w, v in zip(outer, curve, strict=True)) / max(sum(outer), 1e-3)
    return (around - inside + 1) / 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.floats(-3, 12),
    st.floats(0.1, 15),
)
def test_outer_inner_loss_against_direct_sums(curve, start, width):
    places = [torch.tensor([each], dtype=torch.float64) for each in (start, start + width)]
    found = outer_inner_loss(torch.tensor(curve, dtype=torch.float64), *places).item()
    if sum(max(0.0, min(start + width, r + 1) - max(start, r)) for r in range(len(curve))) > 2e-3:
        assert found == pytest.approx(by_sums(curve, start, start + width), abs=1e-9)


def test_outer_inner_gradient():
    curve = torch.rand(9, dtype=torch.float64)
    start = torch.tensor([1.3, 2.6, -0.7], dtype=torch.float64, requires_grad=True)
    end = torch.tensor([4.8, 3.1, 9.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: outer_inner_loss(curve, a, b), (start, end))


def test_autoloc_anchors_stand_on_their_rows():
    net, _ = made("autoloc", hidden=4)
    for parameter in net.regressor.decide.parameters():
        torch.nn.init.zeros_(parameter)
    start, end = net.regressor(torch.from_numpy(rows(5))[None], torch.ones(1, 5, dtype=torch.bool))
    middle = np.arange(5)[:, None] + 0.5
    np.testing.assert_allclose(array(start)[0], middle - np.array(autoloc.ANCHORS) / 2)
    np.testing.assert_allclose(array(end)[0], middle + np.array(autoloc.ANCHORS) / 2)


def test_autoloc_keeps_the_best_anchor_of_active_rows():
    curve = torch.tensor([0.0, 0, 1, 1, 1, 0, 0, 0.05, 0, 0], dtype=torch.float64)
    place = torch.arange(10, dtype=torch.float64)[:, None] + 0.5
    anchors = torch.tensor([1.0, 3.0], dtype=torch.float64)
    found = autoloc.best_anchors(curve, place - anchors / 2, place + anchors / 2)
    # Row 3 has the whole action; rows beside do better with their own row than with three rows,
    # and overlap the whole by a third.
    assert [part.tolist() for part in found[:2]] == [[2, 2, 4], [5, 3, 5]]
    wanted = [by_sums(curve.tolist(), *each) for each in [(2, 5), (2, 3), (4, 5)]]
    assert found[2].tolist() == pytest.approx(wanted)
    worse = autoloc.best_anchors(curve * 0.3, place - anchors / 2, place + anchors / 2)
    assert all(each < autoloc.WORST for each in worse[2].tolist())


def test_autoloc_has_two_phases():
    chosen = preset("small", head="autoloc", steps=5, regress_steps=2, hidden=4)
    method = find_head("autoloc")
    net = method.network(SHAPE, chosen)
    optimizer = method.optimizer(net, chosen)
    for step, frozen in [(2, net.regressor), (3, net.classifier)]:
        net.train()
        method.before_step(net, optimizer, step, chosen)
        for parameter in net.parameters():
            inside = any(parameter is each for each in frozen.parameters())
            assert parameter.requires_grad != inside
    assert not net.classifier.training
    assert [group["momentum"] for group in optimizer.param_groups] == [0.9, 0.9, 0]


def test_autoloc_reads_the_two_most_active_classes():
    own = Proposals(np.array([1.0]), np.array([3.0]), np.array([0.8]))
    raw = np.tile([0.5, 0.1, 0.4], (5, 1))
    found = read_as("autoloc", Prediction(raw, raw.mean(0), proposals={0: own, 1: own, 2: own}))
    assert found == {0: [(1, 3, 0.8)], 2: [(1, 3, 0.8)]}


def test_released_numbers():
    """Those that are stated in public code."""
    stated = {
        "stpn": {"rate": 1e-4, "batch": 6, "segments": 400, "theta_class": 0.1, "nms_iou": 0.5,
                 "attention_hidden": 256, "sparsity": 1e-4, "steps": 23000, "upsample": 24},
        "untrimmednet": {"dropout": 0.8, "shots": 7, "shot_rows": 3, "rate": 0.001,
                         "flow_rate": 0.005, "momentum": 0.9, "weight_decay": 5e-4},
        "wtalc": {"hidden": 2048, "dropout": 0.7, "ratio": 8, "pairs": 3, "batch": 10,
                  "rate": 1e-4, "weight_decay": 5e-4, "segments": 750, "gamma": 0.7},
        "cmcs": {"hidden": 32, "branch_hidden": 16, "branches": 4, "dropout": 0.5, "rate": 1e-4,
                 "weight_decay": 1e-3, "batch": 24, "steps": 15000, "theta_class": 0.1,
                 "gamma": 0.25, "outer": 0.25},
        "autoloc": {"hidden": 128, "regress_steps": 200, "regress_rate": 0.001, "nms_iou": 0.4,
                    "weight_decay": 5e-4},
        "hide-and-seek": {"hidden": 500, "hide": 0.5},
        "maan": {"attention_hidden": 256, "rate": 1e-4, "batch": 6},
    }  # fmt: skip
    for head, numbers in stated.items():
        flat = preset("official", head=head).flat()
        assert {name: flat[name] for name in numbers} == numbers
