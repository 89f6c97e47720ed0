"""Borders finer than snippets: where features change, and where an activation is half way down."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.intervals import Interval, Localization
from basnet_e2e.localization.predictor import VideoPrediction
from basnet_e2e.localization.refinement.boundary_refinement import (
    REFINEMENT,
    Refinement,
    extra_frames,
    refine,
    to_changes,
)
from basnet_e2e.localization.refinement.change_points import Snippets, change_near, explained
from basnet_e2e.localization.refinement.half_height import half_height
from extract.pipeline.snippets import SnippetGrid

FPS, LENGTH = 25, 16


def seen_at(first, changes, scenes, noise=0.0, seed=0):
    """Rows of snippets that begin at frames ``first``, of a video whose scenes change at frames.

    Each row is the mean over its frames, as features of a mixture are.
    """
    first = np.asarray(first)
    frames = first[:, None] + np.arange(LENGTH)
    scene = np.searchsorted(changes, frames, side="right")
    rng = np.random.default_rng(seed)
    looks = np.stack([np.random.default_rng(one).normal(size=24) for one in scenes])
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    x = looks[scene].mean(axis=1) + rng.normal(0, noise, (len(first), 24))
    start = first / FPS
    duration = (first[-1] + LENGTH) / FPS
    return VideoFeatures("v", x.astype(np.float32), start, start + LENGTH / FPS, duration, {})


@settings(deadline=None, max_examples=60)
@given(st.integers(48, 140), st.integers(-12, 12), st.sampled_from([16, 8, 4]))
def test_a_change_is_found_to_the_frame(change, off, stride):
    video = seen_at(np.arange(0, 192, stride), [change], [1, 2], noise=0.002)
    found = change_near(Snippets.of([video]), (change + off) / FPS, 0.64, 1.92)
    # Where whole snippets meet the change lies between their first and last frame alone.
    assert abs(found * FPS - change) <= 1.5


def test_it_is_found_in_noise_and_more_surely_with_closer_snippets():
    errors = {16: [], 4: []}
    for stride, seed in itertools.product(errors, range(30)):
        change = 70 + seed
        video = seen_at(np.arange(0, 176, stride), [change], [1, 2], noise=0.06, seed=seed)
        found = change_near(Snippets.of([video]), (change + 5) / FPS, 0.64, 1.92)
        errors[stride].append(abs(found * FPS - change))
    assert np.mean(errors[16]) < 4
    assert np.mean(errors[4]) < np.mean(errors[16])


def test_nothing_changes_where_nothing_changes():
    still = seen_at(np.arange(0, 160, 16), [], [1])
    assert change_near(Snippets.of([still]), 3.17, 1.0, 1.9) == 3.17
    dark = replace(still, x=np.zeros_like(still.x))
    assert change_near(Snippets.of([dark]), 3.17, 1.0, 1.9) == 3.17
    one = seen_at([0], [], [1])
    assert change_near(Snippets.of([one]), 0.3, 1.0, 1.9) == 0.3


def test_brightness_is_no_change():
    video = seen_at(np.arange(0, 160, 16), [72], [1, 2])
    brighter = replace(video, x=video.x * np.linspace(1, 5, 10, dtype=np.float32)[:, None])
    one, other = (change_near(Snippets.of([each]), 3.0, 0.64, 1.9) for each in (video, brighter))
    assert one == pytest.approx(other)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.floats(1.0, 3.0))
def test_what_is_explained_is_the_best_fit_of_two_vectors(seed, time):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 5)).astype(np.float32)
    start = np.sort(rng.uniform(0, 3.4, 6))
    snippets = Snippets(x, start, start + 0.64)
    behind = np.clip((start + 0.64 - time) / 0.64, 0, 1)
    (found,) = explained(snippets, np.array([time]))
    if behind.var() * 6 <= 0.15:
        assert found == 0
        return
    shares = np.stack([1 - behind, behind], axis=1)
    fit = shares @ np.linalg.lstsq(shares, x, rcond=None)[0]
    left, total = ((x - fit) ** 2).sum(), ((x - x.mean(axis=0)) ** 2).sum()
    assert found == pytest.approx(1 - left / total, abs=1e-5)


def test_several_passes_lie_in_order_of_time():
    every = seen_at(np.arange(0, 160, 4), [70], [1, 2])
    coarse = seen_at(np.arange(0, 160, 16), [70], [1, 2])
    closer = seen_at([60, 64, 68, 72], [70], [1, 2])
    together = Snippets.of([coarse, closer])
    assert len(together.start) == 13  # 64 is in both
    assert (np.diff(together.start) > 0).all()
    whole = Snippets.of([every])
    rows = np.searchsorted(whole.start, together.start - 1e-9)
    np.testing.assert_allclose(together.x, whole.x[rows])


def test_half_height_by_hand():
    times = np.array([0.0, 1, 2, 3, 4, 5, 6])
    values = np.array([0.2, 0.2, 0.6, 1.0, 1.0, 0.0, 0.0])
    # Half between .2 and 1 is .6, at 2 s; half between 1 and 0 is .5, at 4.5 s.
    assert half_height(times, values, (1.2, 4.9), 1.0, 2.0) == pytest.approx((2.0, 4.5))
    assert half_height(times, values, (2.9, 4.1), 1.0, 2.0) == pytest.approx((2.0, 4.5))
    # Out of reach: stays.
    assert half_height(times, values, (1.2, 4.9), 0.5, 2.0) == pytest.approx((1.2, 4.5))
    # At the ends of the video the curve is held, so there is no crossing.
    assert half_height(times, np.ones(7), (0.0, 6.0), 1.0, 2.0) == (0.0, 6.0)
    # A curve that is lower within than around: nothing would be left between the borders.
    hollow = np.array([1.0, 1, 0, 0, 0, 1, 1])
    start, end = half_height(times, hollow, (2.5, 3.5), 1.0, 1.0)
    assert start < end


def found_in(duration, *intervals):
    return Localization("v", "v", duration, "m", {}, [Interval("a", *one) for one in intervals])


def test_intervals_go_to_changes_and_a_second_look_is_finer():
    changes, truth = [57, 102, 181, 250], [(57 / 25, 102 / 25), (181 / 25, 250 / 25)]
    scenes = [1, 2, 1, 2, 1]
    errors = {"cut": [], "once": [], "twice": []}

    def note(name, result):
        rows = zip(result.intervals, [truth[0], truth[1], truth[1]], strict=True)
        errors[name] += [abs(one.start - start) + abs(one.end - end) for one, (start, end) in rows]

    for seed in range(8):
        coarse = seen_at(np.arange(0, 320, 16), changes, scenes, 0.1, seed)
        centres = (coarse.start + coarse.end) / 2
        inside = [any(start <= time < end for start, end in truth) for time in centres]
        cas = np.array(inside, float)[:, None]
        found = found_in(coarse.duration, (1.9, 4.6, 0.9), (6.9, 10.3, 0.8), (7.6, 9.6, 0.3))
        once = refine(VideoPrediction(found, coarse, ("a",), centres, cas))
        assert [one.score for one in once.intervals] == [0.9, 0.8, 0.3]
        frames = extra_frames(once, SnippetGrid(), len(coarse.x))
        closer = seen_at(frames, changes, scenes, 0.1, 100 + seed)
        twice = to_changes(once, Snippets.of([coarse, closer]), REFINEMENT.second_reach)
        for name, result in (("cut", found), ("once", once), ("twice", twice)):
            note(name, result)
    means = {name: np.mean(each) for name, each in errors.items()}
    assert means["twice"] < means["once"] < means["cut"] / 2


def test_borders_at_the_ends_of_a_video_stay():
    video = seen_at(np.arange(0, 320, 16), [20, 300], [1, 2, 3])
    snippets = Snippets.of([video])
    found = to_changes(found_in(12.8, (0.0, 12.8)), snippets, 2.0)
    assert (found.intervals[0].start, found.intervals[0].end) == (0.0, 12.8)
    found = to_changes(found_in(12.8, (0.5, 12.4)), snippets, 2.0)
    assert found.intervals[0].start == pytest.approx(0.8, abs=0.05)


def test_an_interval_is_not_moved_to_nothing():
    video = seen_at(np.arange(0, 320, 16), [100], [1, 2])
    (one,) = to_changes(found_in(12.8, (3.6, 4.4)), Snippets.of([video]), 2.0).intervals
    assert (one.start, one.end) == (3.6, 4.4)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 6), st.floats(0, 1)), max_size=12),
    st.sampled_from([1, 2, 4, 16]),
    st.floats(0, 1),
)
def test_closer_snippets_are_few_new_and_near(drawn, steps, share):
    duration, rows = 31.3, 49
    found = found_in(duration, *((a, min(a + b, duration), c) for a, b, c in drawn))
    chosen = Refinement(steps=steps, share=share)
    frames = extra_frames(found, SnippetGrid(), rows, chosen)
    assert frames == sorted(set(frames))
    assert len(frames) <= share * rows
    assert not any(n % 16 == 0 or n % (16 // steps) for n in frames)
    assert all(0 <= n <= duration * 25 - 16 for n in frames)
    borders = [time for one in found.intervals for time in (one.start, one.end)]
    for n in frames:
        assert (
            min(abs((n + 8) / 25 - time) for time in borders) <= 0.32 * chosen.closeness * 2 + 1e-6
        )


def test_the_best_come_first_and_weak_ones_never():
    found = found_in(31.3, (5, 7, 0.5), (12, 14, 0.9), (20, 23, 0.1))
    everything = extra_frames(found, SnippetGrid(), 49)
    assert {round((n + 8) / 25) for n in everything} == {5, 7, 12, 14}
    half = extra_frames(found, SnippetGrid(), len(everything) - 1)
    few = extra_frames(found, SnippetGrid(), 49, replace(REFINEMENT, share=len(half) / 98))
    assert {round((n + 8) / 25) for n in few} <= {12, 14}
    other = extra_frames(found, SnippetGrid(Fraction(12), 32, 32), 12)
    assert other
    assert all(n % 32 for n in other)
