"""The frame grid against the definition computed by brute force."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ExtractError
from extract.video.clock import TOLERANCE, FrameClock, frame_rate, median_spacing

RATES = st.sampled_from(
    [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(10), Fraction(7, 3)]
)
BASES = st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1001, 30000)])


@st.composite
def timelines(draw):
    base = draw(BASES)
    top = int(3 / base)
    ticks = sorted(draw(st.sets(st.integers(0, top), min_size=1, max_size=20)))
    origin = draw(st.integers(0, ticks[0])) * base
    last = draw(st.integers(1, 40)) * base
    return FrameClock(np.array(ticks, np.int64), base, origin, last)


@given(timelines(), RATES)
def test_shown_frame_is_the_last_one_that_has_appeared(timeline, fps):
    times = [int(tick) * timeline.time_base - timeline.origin for tick in timeline.ticks]
    end = times[-1] + timeline.last
    grid = [Fraction(n) / fps for n in range(math.ceil(end * fps) + 2) if Fraction(n) / fps < end]
    expected = [
        max([k for k, time in enumerate(times) if time <= now + TOLERANCE], default=0)
        for now in grid
    ]
    assert timeline.length(fps) == len(grid)
    assert timeline.shown(fps).tolist() == expected


def test_constant_rate_passes_through_untouched_for_hours():
    count = 25 * 3600 * 3
    timeline = FrameClock(np.arange(count) * 3600, Fraction(1, 90000), Fraction(0), Fraction(1, 25))
    assert np.array_equal(timeline.shown(Fraction(25)), np.arange(count))


def test_milliseconds_of_matroska_do_not_shift_the_grid():
    rate = Fraction(25)
    ticks = np.array([round(n * 1000 / rate + Fraction(1, 2)) for n in range(500)])
    timeline = FrameClock(ticks, Fraction(1, 1000), Fraction(0), Fraction(1, 25))
    assert np.array_equal(timeline.shown(rate), np.arange(500))


def test_ntsc_stays_exact_after_ten_hours():
    # With the rounded rate 29.97 the frame shown after ten hours would be off by one.
    count = 30000 * 36000 // 1001
    timeline = FrameClock(np.arange(count) * 1001, Fraction(1, 30000), Fraction(0), Fraction(1, 30))
    n = 25 * 35999
    assert timeline.shown(Fraction(25))[n] == math.floor(
        (Fraction(35999) + TOLERANCE) * Fraction(30000, 1001)
    )


@pytest.mark.parametrize(
    ("given_rate", "exact"),
    [
        (25, Fraction(25)),
        (29.97, Fraction(2997, 100)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
    ],
)
def test_frame_rate_is_exact(given_rate, exact):
    assert frame_rate(given_rate) == exact


@pytest.mark.parametrize("wrong", [0, -25, "fast", "1/0", float("nan"), float("inf"), None, ""])
def test_frame_rate_refuses_other_values(wrong):
    with pytest.raises(ExtractError, match="above 0"):
        frame_rate(wrong)


def test_median_spacing():
    base = Fraction(1, 1000)
    assert median_spacing(np.array([0, 40, 80, 1000]), base) == Fraction(40, 1000)
    assert median_spacing(np.array([7]), base) is None
