import hashlib
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from flow_reference import MOTIONS, length, moved_pair, opencv_flow, outer, scene

import extract
from extract import ExtractError
from extract.flow.registry import flow_method
from extract.flow.tvl1.params import TVL1Params, pyramid_sizes
from extract.flow.tvl1.solver import Engine, check_frames, choose_engine, solve

ENGINES = (Engine("numba", "cpu"), Engine("torch", "cpu"))
ROOT = Path(__file__).resolve().parents[3]
# A short schedule, where a test is not about fidelity.
SHORT = TVL1Params(scales=3, warps=2, iterations=12, finest_iterations=8)


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of OpenCV and torch wait busily for each other where CPUs are shared."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


def moving_noise(frames=4, height=70, width=93, blur=8):
    """Blurred noise ``[N, H, W]`` that moves, made in whole numbers: the same on any machine."""
    noise = np.random.default_rng(5).integers(0, 256, (height + 24, width + 24))
    sums = np.pad(noise, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    high, low = slice(blur, None), slice(None, -blur)
    means = (sums[high, high] - sums[low, high] - sums[high, low] + sums[low, low]) // blur**2
    scene = np.clip((means - 128) * 4 + 128, 0, 255).astype(np.uint8)
    starts = ((2 * n, 3 * n // 2) for n in range(frames))
    return np.stack([scene[y : y + height, x : x + width] for y, x in starts])


GOLDEN = {
    "tvl1": "38d206d05c31a52e",
    "tvl1-fast": "8d3d471d196cb6b1",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_flow_is_what_it_was_to_the_bit(name):
    """Features in use were made with these bytes: whoever changes them gives the method a name."""
    frames = moving_noise()
    flow = flow_method(name, device="cpu").compute(frames, frames)
    assert hashlib.sha256(flow.tobytes()).hexdigest()[:16] == GOLDEN[name]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_pair_is_the_same_alone_and_in_any_batch(engine):
    images = check_frames(scene(6))
    whole = solve(images, engine, SHORT)
    for n in range(5):
        np.testing.assert_array_equal(solve(images[n : n + 2], engine, SHORT)[0], whole[n])


def test_the_number_of_threads_changes_nothing():
    frames = scene(6)
    one = extract.tvl1(frames, device="cpu", threads=1)
    np.testing.assert_array_equal(extract.tvl1(frames, device="cpu", threads=3), one)


def test_several_callers_at_once_get_what_one_gets():
    frames = [scene(3, seed=n) for n in range(4)]
    alone = [extract.tvl1(each, device="cpu") for each in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: extract.tvl1(each, device="cpu"), frames))
    np.testing.assert_array_equal(together, alone)


def test_known_motion_is_found_at_least_as_well_as_by_opencv():
    errors = []
    for motion in MOTIONS:
        frames, truth = moved_pair(motion)
        rim = outer(truth.shape[1:])
        fields = extract.tvl1(frames, device="cpu")[0], opencv_flow(frames)
        wrong = [length(field - truth) for field in fields]
        errors.append([(error.mean(), error[rim].mean()) for error in wrong])
    ours, theirs = np.mean(errors, axis=0)
    assert (ours <= 1.05 * theirs).all(), f"ours {ours}, OpenCV's {theirs} (whole, outer 16)"


def test_motion_of_20_pixels_is_found_in_a_smooth_scene():
    y, x = np.mgrid[:192, :256]

    def picture(shift):
        centres = ((60, 60), (120, 150), (70, 200), (150, 60))
        return sum(
            60 * np.exp(-((x - cx - shift) ** 2 + (y - cy) ** 2) / 1800) for cy, cx in centres
        )

    frames = np.rint(np.stack([picture(0), picture(20)]) + 40).astype(np.uint8)
    flow = extract.tvl1(frames, device="cpu")[0]
    bright = frames[0] > 70
    assert np.abs(flow[0][bright] - 20).mean() < 2
    assert np.abs(flow[1][bright]).mean() < 1


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("value", [0, 255, 93])
def test_still_and_featureless_frames_give_no_motion(engine, value):
    flat = check_frames(np.full((2, 33, 40), value, np.uint8))
    assert not solve(flat, engine, SHORT).any()
    same = check_frames(np.repeat(scene(1), 2, axis=0))
    assert not solve(same, engine, SHORT).any()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("changes", [{"theta": 1e6, "lambda_": 1e6}, {"theta": 1e-6, "tau": 1e6}])
def test_extreme_parameters_give_finite_values(engine, changes):
    noise = np.random.default_rng(0).integers(0, 256, (2, 40, 50), dtype=np.uint8)
    params = TVL1Params(**changes, finest_iterations=300, epsilon=0)
    assert np.isfinite(solve(check_frames(noise), engine, params)).all()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (15, 15), (17, 16)])
def test_tiny_frames_give_finite_values(engine, size):
    noise = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    flow = solve(check_frames(noise), engine, TVL1Params())
    assert flow.shape == (1, 2, *size)
    assert np.isfinite(flow).all()


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_cut_from_black_to_white_noise_stays_finite(engine):
    frames = np.zeros((2, 64, 64), np.float32)
    frames[1] = np.random.default_rng(1).choice([0, 255], (64, 64))
    assert np.isfinite(solve(check_frames(frames), engine, TVL1Params())).all()


def test_float_and_uint8_frames_give_the_same():
    frames = scene(2)
    np.testing.assert_array_equal(
        extract.tvl1(frames, device="cpu"), extract.tvl1(frames.astype(np.float64), device="cpu")
    )


def test_one_frame_has_no_flow():
    assert extract.tvl1(scene(1), device="cpu").shape == (0, 2, 48, 61)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.full((2, 20, 20), np.nan), "NaN"),
        (np.full((2, 20, 20), np.inf), "infinity"),
        (np.full((2, 20, 20), 300.0), "0..255"),
        (np.full((2, 20, 20), 1e300), "0..255"),
        (np.zeros((20, 20), np.uint8), "shape"),
        (np.zeros((2, 0, 20), np.uint8), "shape"),
        (np.zeros((2, 20, 20), np.int32), "int32"),
    ],
)
def test_bad_frames_are_errors(frames, message):
    with pytest.raises(ExtractError, match=message):
        extract.tvl1(frames)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lamda": 1}, "lambda_"),
        ({"warps": 0}, "warps"),
        ({"warps": 2.5}, "warps"),
        ({"warps": "3"}, "warps"),
        ({"scale_step": 1.0}, "scale_step"),
        ({"theta": float("inf")}, "theta"),
        ({"tau": float("nan")}, "tau"),
        ({"epsilon": float("nan")}, "epsilon"),
    ],
)
def test_bad_parameters_are_errors(changes, message):
    with pytest.raises(ExtractError, match=message):
        extract.tvl1(scene(2), **changes)


def test_engine_follows_the_device():
    assert choose_engine("cpu") == Engine("numba", "cpu")
    assert choose_engine("cpu", "torch") == Engine("torch", "cpu")
    with pytest.raises(ExtractError, match="auto, numba, torch"):
        choose_engine("cpu", "opencl")
    with pytest.raises(ExtractError, match="no device 'tpu'; choose auto"):
        choose_engine("tpu")


def test_pyramid_ends_where_a_side_would_fall_below_16():
    assert pyramid_sizes(256, 341, TVL1Params()) == [
        (256, 341), (205, 273), (164, 218), (131, 174), (105, 139),
    ]  # fmt: skip
    assert pyramid_sizes(20, 300, TVL1Params()) == [(20, 300), (16, 240)]
    assert pyramid_sizes(9, 9, TVL1Params()) == [(9, 9)]


def _flow_in_child(frames):
    return extract.tvl1(frames, device="cpu")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_computes_the_same():
    frames = scene(4)
    here = _flow_in_child(frames)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(_flow_in_child, (frames,)).get(timeout=600)
    np.testing.assert_array_equal(there, here)
