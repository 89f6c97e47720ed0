import math

import pytest
import torch

from basnet_e2e.heads.basnet.loss import basnet_loss
from basnet_e2e.heads.basnet.network import Output
from basnet_e2e.heads.presets import preset


def scores(*rows):
    return torch.tensor(rows, dtype=torch.float64)


BASE = scores([0.5, 0.2, 0.3], [0.1, 0.3, 0.6])
SUPP = scores([0.7, 0.2, 0.1], [0.3, 0.3, 0.4])
WEIGHTS = torch.tensor([[0.5, 0.25, 1.0, 0.0], [0.1, 0.1, 0.1, 0.1]], dtype=torch.float64)
OUTPUT = Output(BASE, None, SUPP, None, WEIGHTS)


def bce(p, t):
    return -(t * math.log(p) + (1 - t) * math.log(1 - p))


def test_official_terms_by_hand():
    # Targets with background are divided by their sum: .5/.5 for one class, 1/3 each for two.
    labels = scores([1, 0], [1, 1])
    loss = basnet_loss(OUTPUT, labels, preset("official", recipe="full").own)
    base = [bce(0.5, 0.5) + bce(0.2, 0) + bce(0.3, 0.5)]
    base += [bce(0.1, 1 / 3) + bce(0.3, 1 / 3) + bce(0.6, 1 / 3)]
    supp = [bce(0.7, 1) + bce(0.2, 0) + bce(0.1, 0)]
    supp += [bce(0.3, 0.5) + bce(0.3, 0.5) + bce(0.4, 0)]
    assert loss.parts["base"].item() == pytest.approx(sum(base) / 6)
    assert loss.parts["suppression"].item() == pytest.approx(sum(supp) / 6)
    assert loss.parts["norm"].item() == pytest.approx((1.75 + 0.4) / 2)
    wanted = loss.parts["base"] + loss.parts["suppression"] + 1e-4 * loss.parts["norm"]
    assert loss.total.item() == pytest.approx(wanted.item())


def test_background_video_of_default():
    # Base: background alone. Suppression: no example, mean over the rest. Norm: counted.
    labels = scores([1, 0], [0, 0])
    loss = basnet_loss(OUTPUT, labels, preset("default", recipe="full").own)
    base = [bce(0.5, 0.5) + bce(0.2, 0) + bce(0.3, 0.5), bce(0.1, 0) + bce(0.3, 0) + bce(0.6, 1)]
    supp = bce(0.7, 1) + bce(0.2, 0) + bce(0.1, 0)
    assert loss.parts["base"].item() == pytest.approx(sum(base) / 6)
    assert loss.parts["suppression"].item() == pytest.approx(supp / 3)
    assert loss.parts["norm"].item() == pytest.approx(750 * (1.75 / 4 + 0.1) / 2)


def test_a_batch_of_background_alone_has_no_suppression_loss():
    loss = basnet_loss(OUTPUT, scores([0, 0], [0, 0]), preset("default", recipe="full").own)
    assert loss.parts["suppression"].item() == 0
    assert torch.isfinite(loss.total)


def test_norm_is_the_same_at_750_rows_and_independent_of_padding():
    weights = torch.rand(2, 750, dtype=torch.float64)
    output = Output(BASE, None, SUPP, None, weights)
    labels = scores([1, 0], [1, 1])
    summed = basnet_loss(output, labels, preset("official", recipe="full").own).parts["norm"]
    mean = basnet_loss(output, labels, preset("default", recipe="full").own).parts["norm"]
    assert mean.item() == pytest.approx(summed.item())
    valid = torch.tensor([2, 4])
    padded = basnet_loss(OUTPUT, labels, preset("default", recipe="full").own, valid).parts["norm"]
    assert padded.item() == pytest.approx(750 * (0.75 / 2 + 0.1) / 2)
    summed = basnet_loss(OUTPUT, labels, preset("official", recipe="full").own, valid).parts["norm"]
    assert summed.item() == pytest.approx((0.75 + 0.4) / 2)


def test_baseline_has_no_background():
    output = Output(scores([0.8, 0.2], [0.4, 0.6]), None, None, None, None)
    loss = basnet_loss(output, scores([1, 0], [1, 1]), preset("default", recipe="baseline").own)
    wanted = bce(0.8, 1) + bce(0.2, 0) + bce(0.4, 0.5) + bce(0.6, 0.5)
    assert loss.total.item() == pytest.approx(wanted / 4)
    assert "suppression" not in loss.parts
    assert "norm" not in loss.parts


def test_suppression_alone():
    output = Output(None, None, SUPP, None, WEIGHTS)
    loss = basnet_loss(output, scores([1, 0], [0, 1]), preset("official", recipe="suppression").own)
    assert "base" not in loss.parts
    assert loss.total.item() == pytest.approx(
        (loss.parts["suppression"] + 1e-4 * loss.parts["norm"]).item()
    )


def test_sum_over_classes_keeps_the_balance_of_21_classes():
    torch.manual_seed(0)
    many = torch.softmax(torch.randn(2, 21, dtype=torch.float64), 1)
    labels = torch.zeros(2, 20, dtype=torch.float64)
    labels[:, 3] = 1
    output = Output(many, None, None, None, None)
    mean = basnet_loss(output, labels, preset("official", recipe="base").own)
    total = basnet_loss(output, labels, preset("activitynet", recipe="base").own)
    assert total.total.item() == pytest.approx(mean.total.item())
    few = Output(BASE, None, None, None, None)
    labels = scores([1, 0], [1, 1])
    mean = basnet_loss(few, labels, preset("official", recipe="base").own)
    total = basnet_loss(few, labels, preset("activitynet", recipe="base").own)
    assert total.total.item() == pytest.approx(mean.total.item() * 3 / 21)
