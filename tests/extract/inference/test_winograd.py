"""Winograd's filtering against the definition of a convolution."""

import os
import threading
from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.i3d import InceptionI3D, pad_same
from extract.inference.backbone import load_backbone
from extract.inference.packed_i3d import PackedI3D
from extract.inference.winograd import choice
from extract.inference.winograd.choice import convolution_maker
from extract.inference.winograd.convolution import WinogradConvolution, transform_for
from extract.inference.winograd.thread_team import ThreadTeam, Workspace
from extract.inference.winograd.transforms import F43, F44, F53, Transform, transform_3x3

FORMS = (F43, F53, F44)
TEAM = ThreadTeam()
NEAR = 5e-5
"""Of the largest output; twice what was found with 160 channels."""


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    before = torch.get_num_threads()
    with torch.inference_mode():
        yield
    torch.set_num_threads(before)


@given(data=st.data(), form=st.sampled_from(FORMS))
@settings(max_examples=20, deadline=None)
def test_a_form_is_the_filter_exactly(data: st.DataObject, form: Transform) -> None:
    """In fractions, against the sum that defines a filter."""
    whole = st.integers(-9, 9)
    x = data.draw(st.lists(whole, min_size=form.side, max_size=form.side))
    g = data.draw(st.lists(whole, min_size=form.taps, max_size=form.taps))
    expected = [sum(g[k] * x[n + k] for k in range(form.taps)) for n in range(form.outputs)]

    def times(matrix: tuple[tuple[Fraction, ...], ...], values: list[Fraction]) -> list[Fraction]:
        return [
            sum((a * b for a, b in zip(row, values, strict=True)), Fraction(0)) for row in matrix
        ]

    factors = times(form.input_matrix, [Fraction(v) for v in x])
    taps = times(form.filter_matrix, [Fraction(v) for v in g])
    products = [a * b for a, b in zip(factors, taps, strict=True)]
    assert times(form.output_matrix, products) == expected


def test_the_form_with_fewer_products_is_taken() -> None:
    assert transform_3x3(56, 56) is F43  # 14 * 14 * 36 = 12 * 12 * 49
    assert transform_3x3(28, 28) is F43  # 7 * 7 * 36 = 6 * 6 * 49
    assert transform_3x3(14, 14) is F53  # 4 * 4 * 36 > 3 * 3 * 49


def made(
    channels: int, outputs: int, taps: int, clips: tuple[int, ...], seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, bias and input, channels last."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, channels, taps, taps, taps, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    x = torch.randn(clips[0], channels, *clips[1:], generator=generator)
    return (
        weight / (channels * taps**3) ** 0.5,
        bias,
        x.contiguous(memory_format=torch.channels_last_3d),
    )


def defined(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """In double precision."""
    taps = weight.shape[2:]
    padded, padding = pad_same(x.double(), taps, (stride,) * 3)
    return functional.conv3d(padded, weight.double(), bias.double(), (stride,) * 3, padding).relu()


def assert_computes(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int, form: Transform
) -> Tensor:
    found = WinogradConvolution(weight, bias, stride, form, TEAM)(x)
    expected = defined(x, weight, bias, stride)
    assert found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert (found - expected).abs().max() <= NEAR * expected.abs().max()
    return found


@given(
    clips=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 23), st.integers(1, 23)),
    channels=st.sampled_from([8, 16, 24]),
    outputs=st.sampled_from([16, 48]),
    form=st.sampled_from([F43, F53]),
    threads=st.integers(1, 3),
)
@example(clips=(1, 1, 1, 1), channels=8, outputs=16, form=F43, threads=1)
@example(clips=(1, 4, 14, 14), channels=40, outputs=32, form=F53, threads=2)
@example(clips=(1, 2, 28, 28), channels=32, outputs=48, form=F43, threads=2)
@settings(max_examples=15, deadline=None)
def test_three_taps(
    clips: tuple[int, ...], channels: int, outputs: int, form: Transform, threads: int
) -> None:
    torch.set_num_threads(threads)
    weight, bias, x = made(channels, outputs, 3, clips, sum(clips))
    assert_computes(x, weight, bias, 1, form)


@given(
    clips=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20)),
    channels=st.sampled_from([2, 3]),
    outputs=st.sampled_from([16, 64]),
)
@settings(max_examples=10, deadline=None)
def test_seven_taps_of_stride_two(clips: tuple[int, ...], channels: int, outputs: int) -> None:
    clips = (*clips[:2], 2 * clips[2], 2 * clips[3])
    weight, bias, x = made(channels, outputs, 7, clips, sum(clips))
    assert_computes(x, weight, bias, 2, F44)


def test_some_channels_of_a_wider_tensor() -> None:
    weight, bias, x = made(24, 16, 3, (1, 3, 9, 10))
    wide = torch.full((1, 64, 3, 9, 10), float("nan"))
    wide = wide.contiguous(memory_format=torch.channels_last_3d)
    wide[:, 8:32] = x
    found = assert_computes(wide[:, 8:32], weight, bias, 1, F43)
    assert found.equal(assert_computes(x, weight, bias, 1, F43))
    assert found.equal(assert_computes(x.contiguous(), weight, bias, 1, F43))


def test_a_value_that_is_no_number_stays_in_its_tiles() -> None:
    weight, bias, x = made(8, 16, 3, (1, 3, 40, 40))
    x[0, :, 0, 20, 20] = float("nan")
    found = WinogradConvolution(weight, bias, 1, F43, TEAM)(x)
    assert found[0, :, 2].isfinite().all()  # two frames on
    assert found[0, :, :2, :16].isfinite().all()


def test_bytes_do_not_depend_on_the_number_of_threads() -> None:
    weight, bias, x = made(32, 64, 3, (2, 4, 30, 30))
    stem, stem_bias, pictures = made(3, 32, 7, (1, 6, 60, 60))
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        layers = (
            WinogradConvolution(weight, bias, 1, F53, TEAM)(x),
            WinogradConvolution(stem, stem_bias, 2, F44, TEAM)(pictures),
        )
        found.append(b"".join(layer.contiguous().numpy().tobytes() for layer in layers))
    assert len(set(found)) == 1


def test_two_callers_at_once() -> None:
    torch.set_num_threads(2)
    weight, bias, x = made(16, 32, 3, (1, 4, 33, 33))
    layer = WinogradConvolution(weight, bias, 1, F43, TEAM)
    expected, found = layer(x), []

    def call() -> None:
        with torch.inference_mode():
            found.extend(layer(x) for _ in range(5))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 15
    assert all(each.equal(expected) for each in found)


def test_every_job_is_done_once_and_an_error_reaches_the_caller() -> None:
    torch.set_num_threads(3)
    done: list[int] = []
    ThreadTeam().run(lambda room, jobs: done.extend(jobs), 20)
    assert sorted(done) == list(range(20))

    def fail(_: Workspace, jobs: Iterator[int]) -> None:
        if 1 in list(jobs):
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        ThreadTeam().run(fail, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    torch.set_num_threads(2)
    team = ThreadTeam()
    team.run(lambda room, jobs: list(jobs), 4)
    child = os.fork()
    if not child:
        done: list[int] = []
        team.run(lambda room, jobs: done.extend(jobs), 4)
        os._exit(0 if sorted(done) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("weight", "stride", "clips", "form"),
    [
        ((64, 3, 7, 7, 7), 2, (1, 3, 16, 224, 224), F44),
        ((64, 2, 7, 7, 7), 2, (1, 2, 16, 224, 224), F44),
        ((64, 3, 7, 7, 7), 2, (1, 3, 16, 225, 224), None),  # other padding: odd
        ((64, 1, 7, 7, 7), 2, (1, 1, 16, 224, 224), None),  # four channels do not fill a vector
        ((192, 64, 3, 3, 3), 1, (1, 64, 8, 56, 56), F43),
        ((320, 160, 3, 3, 3), 1, (1, 160, 4, 14, 14), F53),
        ((320, 160, 3, 3, 3), 1, (1, 160, 2, 7, 7), None),  # reading the weights would take longer
        ((24, 16, 3, 3, 3), 1, (1, 16, 8, 56, 56), None),
        ((32, 12, 3, 3, 3), 1, (1, 12, 8, 56, 56), None),
        ((32, 16, 3, 3, 3), 2, (1, 16, 8, 56, 56), None),
        ((64, 64, 1, 1, 1), 1, (1, 64, 8, 56, 56), None),
    ],
)
def test_which_layers_gain(
    weight: tuple[int, ...], stride: int, clips: tuple[int, ...], form: Transform | None
) -> None:
    assert transform_for(torch.empty(weight, device="meta"), stride, clips) is form


@pytest.fixture(scope="module")
def small() -> InceptionI3D:
    network = InceptionI3D(3, 5, width=0.25, pool="whole").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            deviation = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data.normal_(0, deviation, generator=generator)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network


@pytest.mark.parametrize("packed", [True, False])
def test_the_network(small: InceptionI3D, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(choice, "usable", lambda: packed)
    taken = []

    class Spy(WinogradConvolution):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            taken.append(self)

    monkeypatch.setattr(choice, "WinogradConvolution", Spy)
    x = torch.rand(1, 3, 16, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    network = PackedI3D(small, convolution_maker())
    found = network.features(x)
    expected = small.features(x)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert found.equal(network.features(x))
    assert len(taken) == 4


def test_winograd_computes_i3d_of_the_published_size_on_a_cpu() -> None:
    assert load_backbone("i3d", device="cpu").runtime.endswith(" winograd cpu")
    assert "winograd" not in load_backbone("i3d-mini", device="cpu").runtime
