"""The fused kernels: their bits in Triton's interpreter, their machine code, and when they run.

No GPU is needed: the interpreter runs kernels on the CPU, one operation at a time, and the compiler
makes machine code for GPUs that are not there.
"""

import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import gpu_code
import numpy as np
import pytest
import torch
import triton_interpreter
from hypothesis import example, given, settings
from hypothesis import strategies as st

import extract.flow.tvl1
from extract.flow.tvl1 import numba_engine, torch_engine
from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.solver import check_frames
from extract.flow.tvl1.torch_engine import check_level, level_solver, plain_level
from extract.flow.tvl1.triton_engine import TritonSolver, launches, segment_rows

triton = pytest.importorskip("triton", reason="triton is not installed (Linux builds for GPUs)")

SHORT = TVL1Params(scales=2, warps=2, iterations=4, finest_iterations=3)


@pytest.fixture(scope="module")
def interpreter():
    """A process in which kernels run in Triton's interpreter, which is chosen by its import."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(triton_interpreter.start).result()
        yield lambda work, *arguments: pool.submit(work, *arguments).result()


@pytest.fixture(scope="module")
def by_kernels(interpreter):
    """Solves images with the interpreted kernels; few, large programs are interpreted fastest."""

    def solve(images, params, group=64, segment=1, early=True):
        return interpreter(triton_interpreter.solve, images, params, group, segment, early)

    return solve


def moving(height, width, frames=2, seed=0):
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(size=(frames, height, width))
    n = np.arange(frames)[:, None, None]
    waves = 60 * np.sin(0.4 * (x - 0.8 * n)) + 50 * np.cos(0.3 * (y + 0.5 * n))
    return check_frames((110 + waves + 3 * noise).clip(0, 255))


def assert_same_bytes(found, expected):
    assert np.abs(expected).max() > 0.01, "nothing moved"
    assert found.tobytes() == expected.tobytes(), np.abs(found - expected).max()


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 20), st.integers(1, 60), st.integers(0, 99))
@example(16, 27, 0)  # one pixel short of a strip
@example(17, 56, 0)  # two strips to the pixel, two pyramid levels
@example(5, 3, 0)  # fewer pixels than a strip loses
def test_the_kernels_give_the_bits_of_the_cpu_engine(by_kernels, height, width, seed):
    images = moving(height, width, seed=seed)
    found, expected = by_kernels(images, SHORT), numba_engine.solve_pairs(images, SHORT)
    assert found.tobytes() == expected.tobytes(), np.abs(found - expected).max()


@pytest.mark.parametrize("check_every", [1, 3, 4])
def test_they_do_so_however_often_the_stop_test_runs(by_kernels, check_every):
    params = TVL1Params(scales=1, warps=1, finest_iterations=7, check_every=check_every)
    images = moving(12, 20)
    assert_same_bytes(by_kernels(images, params), numba_engine.solve_pairs(images, params))


def test_pairs_of_a_batch_end_each_at_its_own_step(by_kernels):
    """One that does not move, and two that end in the course of a warp, at different steps."""
    images = moving(12, 20, frames=3)[[0, 0, 1, 2]]
    images[3] = 0.7 * images[2] + 0.3 * images[3]
    params = TVL1Params(scales=1, warps=2, finest_iterations=20, epsilon=0.06)
    expected = numba_engine.solve_pairs(images, params)
    endless = numba_engine.solve_pairs(images, replace(params, epsilon=0))
    same = [np.array_equal(*both) for both in zip(expected, endless, strict=True)]
    assert same == [True, False, False]
    assert_same_bytes(by_kernels(images, params), expected)
    assert_same_bytes(by_kernels(images, params, early=False), expected)


@pytest.mark.parametrize(("group", "segment"), [(4, 16), (1, 5)])
def test_how_the_image_is_divided_changes_nothing(by_kernels, group, segment):
    images, params = moving(18, 30), TVL1Params(scales=1, warps=1, finest_iterations=3)
    assert_same_bytes(
        by_kernels(images, params, group, segment), numba_engine.solve_pairs(images, params)
    )


def test_launches_take_two_steps_and_test_where_the_cpu_engine_does():
    assert list(launches(5, 2)) == [(2, True), (2, True), (1, True)]
    assert list(launches(3, 1)) == [(1, True)] * 3
    assert list(launches(8, 3)) == [(2, False), (1, True)] * 2 + [(2, True)]
    assert list(launches(4, 4)) == [(2, False), (2, True)]


def test_small_batches_are_cut_into_more_pieces():
    assert segment_rows(1, 256) == 16
    assert segment_rows(13 * 64, 256) == 32
    assert segment_rows(13 * 256, 256) == 64


@pytest.mark.parametrize("capability", [80, 89, 90, 100])
@pytest.mark.parametrize("variant", gpu_code.VARIANTS)
def test_the_machine_code_spills_nothing_and_rounds_as_ieee_says(variant, capability):
    try:
        ptx = gpu_code.assembled(variant, capability)["ptx"]
    except Exception as error:
        if capability < 100 or "sm_100" not in str(error):
            raise
        pytest.skip("this build of triton comes with an assembler that does not know sm_100")
    for rounded_otherwise in (".ftz", "fma.", ".approx", ".full"):
        assert rounded_otherwise not in ptx
    assert "div.rn.f32" in ptx
    if not gpu_code.disassembler().exists():
        pytest.skip("this build of triton comes without cuobjdump")
    found = gpu_code.use(variant, capability)
    # Beyond 64 registers fewer than 32 warps fit on a multiprocessor.
    assert 0 < found.registers <= 64
    assert found.spilled == 0


def test_without_a_gpu_plain_torch_solves():
    assert level_solver(torch.device("cpu")) is plain_level


@pytest.fixture
def undecided():
    level_solver.cache_clear()
    yield
    level_solver.cache_clear()


@pytest.mark.usefixtures("undecided")
def test_a_gpu_on_which_triton_cannot_launch_takes_plain_torch_and_says_so(monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("Failed to find C compiler.\nand much more")

    monkeypatch.setattr(torch_engine, "check_level", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert level_solver(torch.device("cuda")) is plain_level
    (record,) = caplog.records  # said once
    assert record.getMessage() == (
        "flow on cuda runs without its fused kernels, several times slower: "
        "RuntimeError: Failed to find C compiler."
    )


@pytest.mark.usefixtures("undecided")
def test_where_triton_is_not_installed_plain_torch_solves(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "extract.flow.tvl1.triton_kernels", raising=False)
    monkeypatch.delattr(extract.flow.tvl1, "triton_kernels", raising=False)
    assert level_solver(torch.device("cuda")) is plain_level
    assert "ModuleNotFoundError" in caplog.text


@pytest.mark.usefixtures("undecided")
def test_a_gpu_on_which_triton_works_takes_the_kernels(monkeypatch):
    monkeypatch.setattr(torch_engine, "check_level", lambda *_: None)
    assert isinstance(level_solver(torch.device("cuda")), TritonSolver)


def test_the_check_sees_kernels_that_work_and_kernels_that_do_not(interpreter):
    interpreter(triton_interpreter.check)

    def wrong(*arguments):
        return plain_level(*arguments) + 1e-3

    with pytest.raises(ArithmeticError, match=r"differs from plain torch's by 0\.001 px"):
        check_level(wrong, torch.device("cpu"))
