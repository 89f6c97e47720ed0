import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BaSNet, BasnetError
from basnet_e2e.heads.basnet.loss import basnet_loss
from basnet_e2e.heads.basnet.settings import RECIPES
from basnet_e2e.heads.basnet.two_branch import convolve, convolve_both
from basnet_e2e.heads.common.pooling import top_mean
from basnet_e2e.heads.presets import preset


def plain(net, x, dropout=None):
    """The network as the paper and the released code describe it: two passes, a full sort.

    `dropout` holds one multiplier per branch for the hidden rows [B, H, T].
    """

    def classify(rows, multiplier):
        out = F.leaky_relu(net.conv_1(rows.transpose(1, 2)), net.slope)
        out = F.leaky_relu(net.conv_2(out), net.slope)
        if multiplier is not None:
            out = out * multiplier
        return net.conv_3(out).transpose(1, 2)

    def score(cas):
        k = max(1, cas.shape[1] // net.ratio)
        return cas.sort(descending=True, dim=1).values[:, :k].mean(1).softmax(1)

    hidden = F.leaky_relu(net.filter.squeeze(x.transpose(1, 2)), net.slope)
    weights = torch.sigmoid(net.filter.decide(hidden)).transpose(1, 2)
    first, second = dropout or (None, None)
    base, supp = classify(x, first), classify(weights * x, second)
    return score(base), base, score(supp), supp, weights[..., 0]


def small_net(recipe="full", **settings):
    torch.manual_seed(3)
    return BaSNet(7, 4, 6, recipe=recipe, filter_hidden=5, **settings).double()


def test_equals_the_plain_formulation_and_its_gradients():
    net = small_net().eval()
    x = torch.randn(3, 17, 7, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    results = []
    for forward in (net, lambda rows: plain(net, rows)):
        net.zero_grad()
        output = forward(x)
        loss = basnet_loss(type(net(x))(*output), labels, preset("official", recipe="full").own)
        loss.total.backward()
        results.append((output, [p.grad.clone() for p in net.parameters()]))
    for ours, theirs in zip(*results, strict=True):
        for left, right in zip(ours, theirs, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


def test_equals_the_plain_formulation_in_training_with_the_same_dropout():
    net = small_net(dropout=0.4).train()
    x = torch.randn(2, 16, 7, dtype=torch.float64)
    torch.manual_seed(11)
    ours = net(x)
    torch.manual_seed(11)
    # One draw for both branches: each has its own masks.
    masks = F.dropout(torch.ones(4, 16, 6, dtype=torch.float64), 0.4).transpose(1, 2).chunk(2)
    assert not torch.equal(*masks)
    for left, right in zip(ours, plain(net, x, masks), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


def test_gradients_of_the_shared_convolution():
    torch.manual_seed(0)
    conv = torch.nn.Conv1d(3, 4, 3, padding=1).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    w = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x, w: convolve_both(x, w, conv), (x, w))
    torch.autograd.gradcheck(lambda x: convolve(x, conv), (x,))
    apart = torch.cat([conv(rows.transpose(1, 2)) for rows in (x, w[..., None] * x)])
    seed = torch.randn_like(apart)
    wanted = torch.autograd.grad((apart * seed).sum(), [x, w, *conv.parameters()])
    both = convolve_both(x, w, conv)
    torch.testing.assert_close(both.transpose(1, 2), apart, rtol=1e-13, atol=1e-14)
    found = torch.autograd.grad((both * seed.transpose(1, 2)).sum(), [x, w, *conv.parameters()])
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_very_short_videos(rows):
    net = small_net().eval()
    x = torch.randn(1, rows, 7, dtype=torch.float64)
    for left, right in zip(net(x), plain(net, x), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_padding_changes_nothing(recipe):
    net = small_net(recipe).eval()
    lengths = [9, 1, 20]
    videos = [torch.randn(1, n, 7, dtype=torch.float64) for n in lengths]
    padded = torch.randn(3, 20, 7, dtype=torch.float64)  # noise, not zeros, in the padding
    for row, video in zip(padded, videos, strict=True):
        row[: video.shape[1]] = video[0]
    counts = torch.tensor(lengths)
    mask = torch.arange(20) < counts[:, None]
    for valid in (counts, mask):
        together = net(padded, valid)
        for index, (video, n) in enumerate(zip(videos, lengths, strict=True)):
            for name, alone in net(video)._asdict().items():
                if alone is None:
                    assert getattr(together, name) is None
                    continue
                found = getattr(together, name)[index]
                wanted = alone[0]
                if not name.startswith("scores"):
                    found = found[:n]
                torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def test_gradients_of_a_padded_batch_equal_those_of_its_videos():
    net = small_net().eval()
    lengths = torch.tensor([9, 1, 20])
    padded = torch.randn(3, 20, 7, dtype=torch.float64)
    sums = []
    for outputs in (
        [net(padded, lengths)],
        [net(video[None, :n]) for video, n in zip(padded, lengths, strict=True)],
    ):
        net.zero_grad()
        total = sum(o.scores_base[:, 0].sum() + o.scores_supp[:, 1].sum() for o in outputs)
        (total + sum(o.foreground.sum() for o in outputs)).backward()
        sums.append([p.grad.clone() for p in net.parameters()])
    for left, right in zip(*sums, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-13)


def test_padding_between_rows_counts_as_empty_rows():
    net = small_net().eval()
    x = torch.randn(1, 8, 7, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, True, True, True, False, False]])
    holed = net(x, mask)
    # By hand: the classifier's layers on rows that are zeroed before each convolution.
    w = net(x * mask[..., None]).foreground * mask
    rows = (x * w[..., None]).transpose(1, 2)
    hidden = F.leaky_relu(net.conv_1(rows), net.slope) * mask[:, None]
    cas = net.conv_3(F.leaky_relu(net.conv_2(hidden), net.slope)).transpose(1, 2)
    torch.testing.assert_close(holed.cas_supp[mask], cas[mask], rtol=1e-12, atol=1e-14)
    assert (holed.cas_supp[0, 6:] == 0).all()


def test_branches_of_each_recipe():
    x = torch.randn(2, 9, 7, dtype=torch.float64)
    present = {name: [field is not None for field in small_net(name)(x)] for name in RECIPES}
    assert present == {
        "baseline": [True, True, False, False, False],
        "base": [True, True, False, False, False],
        "suppression": [False, False, True, True, True],
        "full": [True, True, True, True, True],
    }
    assert small_net("baseline")(x).cas_base.shape == (2, 9, 4)
    assert small_net("base")(x).cas_base.shape == (2, 9, 5)
    assert small_net("full")(x).foreground.shape == (2, 9)
    names = [name for name, _ in small_net("baseline").named_parameters()]
    assert not [name for name in names if name.startswith("filter")]


def test_one_branch_alone_equals_that_branch_of_both():
    net = small_net().eval()
    x = torch.randn(2, 9, 7, dtype=torch.float64)
    both, base, supp = net(x), net(x, only="base"), net(x, only="suppression")
    assert base.cas_supp is None
    assert supp.cas_base is None
    torch.testing.assert_close(base.cas_base, both.cas_base, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(supp.cas_supp, both.cas_supp, rtol=1e-12, atol=1e-14)


def test_published_size():
    # 25.2 M in the classifier and 1.05 M in the filter, as computed from the released code.
    net = BaSNet()
    filters = sum(p.numel() for p in net.filter.parameters())
    assert filters == 2048 * 512 + 512 + 512 + 1
    rest = sum(p.numel() for p in net.parameters()) - filters
    assert rest == 2 * (2048 * 2048 * 3 + 2048) + 2048 * 21


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_top_mean_is_the_mean_of_the_highest(rows, ratio, seed):
    rng = np.random.default_rng(seed)
    cas = rng.normal(size=(3, rows, 2))
    counts = rng.integers(1, rows + 1, 3)
    mask = torch.from_numpy(np.arange(rows) < counts[:, None])
    found = top_mean(torch.from_numpy(cas), mask, ratio).numpy()
    for video, column in itertools.product(range(3), range(2)):
        n = counts[video]
        highest = sorted(cas[video, :n, column])[::-1][: max(1, n // ratio)]
        assert found[video, column] == pytest.approx(np.mean(highest))


def test_wrong_width_names_both():
    with pytest.raises(BasnetError, match=r"rows \[videos, snippets, 7\].*\[1, 3, 8\]"):
        small_net()(torch.zeros(1, 3, 8, dtype=torch.float64))


def test_a_video_without_rows_is_refused():
    with pytest.raises(BasnetError, match="no row"):
        small_net()(torch.zeros(2, 3, 7, dtype=torch.float64), torch.tensor([3, 0]))


def test_autocast_lowers_the_products_and_keeps_scores_in_float32():
    torch.manual_seed(0)
    net = BaSNet(32, 4, 16, filter_hidden=8).eval()
    x = torch.randn(2, 40, 32)
    labels = torch.eye(4)[:2]
    wanted = basnet_loss(net(x), labels, preset("official", recipe="full").own).total
    with torch.autocast("cpu", torch.bfloat16):
        output = net(x, torch.tensor([40, 40]))
    assert {field.dtype for field in output} == {torch.float32}
    loss = basnet_loss(output, labels, preset("official", recipe="full").own).total
    assert loss.item() == pytest.approx(wanted.item(), rel=0.02)
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())
