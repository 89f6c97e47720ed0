import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from extract.backbones.i3d import (
    InceptionI3D,
    SamePool3d,
    Unit3D,
    fold_batch_norm,
    pad_same,
    same_padding,
)


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep activations in range, and batch norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm3d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.2, 2, generator=generator)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 7, 2, (2, 3)),  # out 112: 111 * 2 + 7 - 224 = 5
        (225, 7, 2, (3, 3)),  # out 113: 112 * 2 + 7 - 225 = 6
        (9, 7, 2, (3, 3)),  # out 5: 4 * 2 + 7 - 9 = 6
        (112, 3, 2, (0, 1)),  # out 56: 55 * 2 + 3 - 112 = 1
        (7, 3, 2, (1, 1)),  # out 4: 3 * 2 + 3 - 7 = 2
        (4, 2, 2, (0, 0)),
        (5, 2, 2, (0, 1)),  # out 3: 2 * 2 + 2 - 5 = 1
        (5, 3, 1, (1, 1)),
        (1, 3, 1, (1, 1)),
        (5, 1, 1, (0, 0)),
        (5, 1, 2, (0, 0)),  # out 3, more is there than needed
    ],
)
def test_same_padding_by_hand(
    size: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    assert same_padding(size, kernel, stride) == expected


@given(
    sizes=st.tuples(*[st.integers(1, 7)] * 3),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 3),
)
@settings(max_examples=30, deadline=None)
def test_a_convolution_sums_what_same_padding_says(
    sizes: tuple[int, int, int], kernel: int, stride: int
) -> None:
    """Against the definition: output o reads inputs o*stride - before + k, zero outside."""
    rng = np.random.default_rng(sum(sizes) + kernel)
    x, w = rng.normal(size=sizes), rng.normal(size=(kernel,) * 3)
    unit = Unit3D(1, 1, kernel, stride, classifier=True).double()
    unit.conv3d.weight.data[0, 0] = torch.from_numpy(w)
    unit.conv3d.bias.data.zero_()
    outs = [-(-n // stride) for n in sizes]
    starts = [max((o - 1) * stride + kernel - n, 0) // 2 for n, o in zip(sizes, outs, strict=True)]
    expected = np.zeros(outs)
    for place in np.ndindex(*outs):
        for offset in itertools.product(range(kernel), repeat=3):
            at = [p * stride - b + k for p, b, k in zip(place, starts, offset, strict=True)]
            if all(0 <= a < n for a, n in zip(at, sizes, strict=True)):
                expected[place] += x[tuple(at)] * w[offset]
    with torch.no_grad():
        found = unit(torch.from_numpy(x)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(sizes=st.tuples(*[st.integers(1, 9)] * 3), kernel=st.sampled_from([2, 3]))
@settings(max_examples=30, deadline=None)
def test_pooling_ignores_what_lies_outside(sizes: tuple[int, int, int], kernel: int) -> None:
    x = np.random.default_rng(sum(sizes)).uniform(0, 1, sizes)
    found = SamePool3d((kernel,) * 3, (2, 2, 2))(torch.from_numpy(x)[None, None])[0, 0].numpy()
    assert found.shape == tuple(-(-n // 2) for n in sizes)
    for place in np.ndindex(*found.shape):
        window = tuple(
            slice(max(0, p * 2 - same_padding(n, kernel, 2)[0]), None)
            if p * 2 - same_padding(n, kernel, 2)[0] + kernel >= n
            else slice(
                max(0, p * 2 - same_padding(n, kernel, 2)[0]),
                p * 2 - same_padding(n, kernel, 2)[0] + kernel,
            )
            for p, n in zip(place, sizes, strict=True)
        )
        assert found[place] == x[window].max()


def test_padding_is_computed_from_the_input() -> None:
    for size in (224, 225):
        x, left = pad_same(torch.zeros(1, 1, size, size, size), (7, 7, 7), (2, 2, 2))
        padded = x.shape[2] + 2 * left[0]
        assert (padded - 7) // 2 + 1 == -(-size // 2)


def test_batch_norm_has_sonnets_epsilon() -> None:
    unit = Unit3D(1, 1).eval()
    assert isinstance(unit.bn, nn.BatchNorm3d)
    unit.conv3d.weight.data.fill_(1)
    unit.bn.running_mean.fill_(0.5)
    unit.bn.running_var.fill_(0.008)
    unit.bn.bias.data.fill_(0.25)
    # (1 - 0.5) / sqrt(0.008 + 0.001) + 0.25; an epsilon of 1e-5 would give 5.84
    expected = 0.5 / 0.009**0.5 + 0.25
    with torch.no_grad():
        assert unit(torch.ones(1, 1, 1, 1, 1)).item() == pytest.approx(expected, rel=1e-6)
    assert unit.bn.momentum == 0.01


@pytest.fixture(scope="module")
def narrow() -> InceptionI3D:
    network = randomised(InceptionI3D(2, 5, width=0.05))
    assert isinstance(network, InceptionI3D)
    return network


@pytest.mark.parametrize("frames", range(9, 65))
def test_number_of_feature_rows(frames: int) -> None:
    """Published: ceil(T/8) - 1, so 16 frames have one row and 64 have seven."""
    with torch.device("meta"), torch.inference_mode():
        network = InceptionI3D(2, 5, width=0.05).eval()
        rows = network.rows(torch.zeros(1, 2, frames, 224, 224))
    assert rows.shape == (1, 64, math.ceil(frames / 8) - 1)


def test_logits_are_the_mean_over_time(narrow: InceptionI3D) -> None:
    x = torch.rand(2, 2, 25, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        rows = narrow.rows(x)
        logits = narrow(x)
        each = torch.stack([narrow.classify(rows[:, :, n]) for n in range(3)])
    torch.testing.assert_close(logits, each.mean(dim=0))
    weight, bias = narrow.classifier()
    torch.testing.assert_close(narrow.classify(rows[:, :, 0]), rows[:, :, 0] @ weight.T + bias)


def test_the_published_pooling_is_the_whole_map_for_16_frames(narrow: InceptionI3D) -> None:
    x = torch.rand(1, 2, 16, 224, 224, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        feature_map = narrow.feature_map(x)
        assert feature_map.shape == (1, 64, 2, 7, 7)
        torch.testing.assert_close(narrow.features(x), feature_map.mean(dim=(2, 3, 4)))


def test_folding_changes_nothing() -> None:
    network = randomised(InceptionI3D(3, 4, width=0.25, pool="whole"))
    assert isinstance(network, InceptionI3D)
    folded = fold_batch_norm(network)
    x = torch.rand(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.inference_mode():
        expected = network.features(x)
        torch.testing.assert_close(folded.features(x), expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
    assert expected.abs().max() > 0.01
