"""The torch engine against the CPU engine, and against itself in other batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flow_reference import MOTIONS, moved_pair, real_pairs, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.solver import Engine, check_frames, solve
from extract.flow.tvl1.steps import StopPoll
from extract.flow.tvl1.torch_engine import Execution, plain_level, solve_pairs, solve_tensors

NUMBA, TORCH = Engine("numba", "cpu"), Engine("torch", "cpu")
# A short schedule, where a test is not about fidelity.
SHORT = TVL1Params(scales=3, warps=2, iterations=12, finest_iterations=8)


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of torch wait busily for each other where CPUs are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mixed_pairs(width=61):
    """Frames whose pairs meet the stop test after different numbers of steps: one does at once."""
    still, moving = scene(2, width=width)[:1], scene(5, width=width, seed=3)
    return check_frames(np.concatenate([still, still, moving]))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 99), st.integers(1, 5), st.integers(0, 2)
)
def test_engines_give_the_same_bits_at_any_size(height, width, seed, check_every, noise):
    frames = scene(2, height, width, seed).astype(np.float32)
    frames += noise * np.random.default_rng(seed).normal(size=frames.shape)
    images = check_frames(frames.clip(0, 255))
    params = TVL1Params(scales=3, warps=2, iterations=13, check_every=check_every)
    numba, torch_ = (solve(images, engine, params) for engine in (NUMBA, TORCH))
    np.testing.assert_array_equal(numba, torch_)
    assert np.isfinite(numba).all()


def test_engines_give_the_same_bits_on_known_motion():
    for motion in MOTIONS[::3]:
        images = check_frames(moved_pair(motion, 96, 128)[0])
        numba, torch_ = (solve(images, engine, TVL1Params()) for engine in (NUMBA, TORCH))
        np.testing.assert_array_equal(numba, torch_)


def test_engines_give_the_same_bits_on_real_video(shared_data):
    # The second is the one whose flow amplifies differences most.
    for pair in real_pairs(shared_data, every=12):
        images = check_frames(pair.frames)
        numba, torch_ = (solve(images, engine, TVL1Params()) for engine in (NUMBA, TORCH))
        np.testing.assert_array_equal(numba, torch_, err_msg=pair.name)


@pytest.mark.parametrize("batch", [1, 2, 6])
def test_the_batch_size_changes_nothing(batch):
    images = mixed_pairs()
    alone = [solve(images[n : n + 2], TORCH, SHORT)[0] for n in range(len(images) - 1)]
    together = solve_pairs(images, SHORT, execution=Execution(batch))
    np.testing.assert_array_equal(together, alone)


def test_ended_pairs_stay_where_they_are_when_nothing_is_read_back(monkeypatch):
    images, params = mixed_pairs(), replace(SHORT, iterations=60, epsilon=0.05)
    usual = solve_pairs(images, params, execution=Execution(6))
    going = []
    monkeypatch.setattr(StopPoll, "all_stopped", lambda self, left: going.append(bool(left)))
    np.testing.assert_array_equal(solve_pairs(images, params, execution=Execution(6)), usual)
    assert not all(going), "no step was taken after the last pair had ended"


def test_without_a_look_at_the_stop_test_the_flow_is_the_same():
    images, params = torch.from_numpy(mixed_pairs()), replace(SHORT, iterations=60, epsilon=0.05)
    usual, blind = (
        solve_tensors(images, params, Execution(batch=6, early=early)) for early in (True, False)
    )
    torch.testing.assert_close(blind, usual, rtol=0, atol=0)


def test_nothing_is_read_back_from_a_device_inside_the_iteration(monkeypatch):
    """On torch's meta device, which holds no values, whatever reads one is an error."""
    monkeypatch.setattr(StopPoll, "poll", lambda *_: False)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    images = torch.empty((4, 48, 61), device="meta")
    flow = solve_tensors(images, SHORT, Execution(3, plain_level))
    assert flow.shape == (3, 2, 48, 61)
    with pytest.raises(RuntimeError, match="meta"):
        bool(flow.any())


def test_an_answer_is_looked_at_when_it_has_come():
    now = 0

    class Event:
        """An event that comes to pass three questions after it was recorded."""

        def record(self, stream):
            self.due = now + 3

        def query(self):
            return now >= self.due

    watch = StopPoll(Event)
    over = []
    for going in (True, True, False, False, False, False):
        now += 1
        over.append(watch.poll(torch.tensor(going), None))
    assert over == [False, False, False, False, False, True]
