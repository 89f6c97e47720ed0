"""Windows of snippets against the rules they follow."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ExtractError
from extract.pipeline.snippets import (
    SnippetGrid,
    flow_rows,
    frame_rows,
    snippet_count,
    snippet_times,
)

FRAMES = st.integers(1, 300)
GRIDS = st.builds(
    SnippetGrid,
    fps=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(10)]),
    length=st.integers(1, 40),
    stride=st.integers(1, 50),
)


@pytest.mark.parametrize(
    ("frames", "stride", "count"),
    [(1, 16, 1), (16, 16, 1), (17, 16, 2), (32, 16, 2), (33, 16, 3), (40, 8, 4), (41, 8, 5)],
)
def test_counts_worked_by_hand(frames, stride, count):
    assert snippet_count(frames, 16, stride) == count


def test_no_frame_has_no_snippet():
    with pytest.raises(ExtractError, match="without frames"):
        snippet_count(0, 16, 16)


@given(FRAMES, GRIDS)
def test_snippets_cover_the_video_and_no_more(frames, grid):
    count = snippet_count(frames, grid.length, grid.stride)
    rows = [frame_rows(i, frames, grid) for i in range(count)]
    assert all(len(row) == grid.length for row in rows)
    assert all(0 <= n < frames for row in rows for n in row)
    # Every snippet begins within the video.
    assert all(i * grid.stride < frames for i in range(count))
    if grid.stride <= grid.length:
        assert set().union(*rows) == set(range(frames))
        assert count == (
            1 if frames <= grid.length else math.ceil((frames - grid.length) / grid.stride) + 1
        )


@given(FRAMES, GRIDS)
def test_frames_run_on_and_then_repeat_the_last(frames, grid):
    for i in range(snippet_count(frames, grid.length, grid.stride)):
        for offset, n in enumerate(frame_rows(i, frames, grid)):
            wanted = i * grid.stride + offset
            assert n == (wanted if wanted < frames else frames - 1)


@given(FRAMES, GRIDS)
def test_flow_fields_run_on_and_then_repeat_the_last(frames, grid):
    for i in range(snippet_count(frames, grid.length, grid.stride)):
        row = flow_rows(i, frames, grid)
        if frames == 1:
            assert row == []
            continue
        for offset, n in enumerate(row):
            wanted = i * grid.stride + offset
            # Field n needs frames n and n + 1.
            assert n == (wanted if wanted + 1 < frames else frames - 2)
        assert len(row) == grid.length


@given(FRAMES, GRIDS)
def test_times_lie_within_the_video(frames, grid):
    # The video ends somewhere after its last grid frame and before the next one.
    duration = float((frames - Fraction(1, 3)) / grid.fps)
    count = snippet_count(frames, grid.length, grid.stride)
    start, end = snippet_times(count, grid, duration)
    assert start.dtype == end.dtype == np.float64
    assert len(start) == len(end) == count
    assert start[0] == 0
    assert (start < end).all()
    assert (end <= duration).all()
    assert end[-1] == duration or grid.stride > grid.length


def test_times_worked_by_hand():
    start, end = snippet_times(3, SnippetGrid(), 1.5)
    assert start.tolist() == [0.0, 0.64, 1.28]
    assert end.tolist() == [0.64, 1.28, 1.5]


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"length": -1}, {"fps": Fraction(0)}])
def test_a_grid_needs_numbers_above_zero(wrong):
    with pytest.raises(ExtractError, match=next(iter(wrong))):
        SnippetGrid(**wrong)
