import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.data.features.sampling import (
    interpolated_rows,
    padded,
    reading_rows,
    row_edges,
    segments_for,
    stratified_rows,
    training_rows,
    uniform_rows,
)


def video(start, end, width=2):
    start, end = np.array(start, float), np.array(end, float)
    x = np.arange(len(start) * width, dtype=np.float32).reshape(len(start), width)
    return VideoFeatures("v", x, start, end, float(end[-1]), {})


def grid(rows, stride=0.64):
    return video(np.arange(rows) * stride, (np.arange(rows) + 1) * stride)


@given(st.integers(1, 400), st.integers(1, 200), st.integers(0, 1000))
def test_stratified_rows_stay_in_their_parts(length, count, seed):
    rows = stratified_rows(length, count, np.random.default_rng(seed))
    parts = np.arange(count + 1) * length // count
    assert (rows >= np.minimum(parts[:-1], length - 1)).all()
    # The released code includes the first row of the next part.
    assert (rows <= np.minimum(parts[1:], length - 1)).all()
    assert len(rows) == count


def test_stratified_rows_are_random_and_reach_both_ends_of_a_part():
    drawn = [stratified_rows(20, 2, np.random.default_rng(seed)) for seed in range(400)]
    assert {int(rows[0]) for rows in drawn} == set(range(11))
    assert {int(rows[1]) for rows in drawn} == set(range(10, 20))
    assert stratified_rows(7, 7, np.random.default_rng(0)).tolist() == list(range(7))


def test_uniform_rows_repeat_and_skip():
    assert uniform_rows(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert uniform_rows(10, 4).tolist() == [0, 2, 5, 7]


@pytest.mark.parametrize(
    ("lengths", "wanted"),
    [([10, 20], 64), ([100] * 10, 104), ([104] * 10, 104), ([5000], 750), ([80] * 9 + [200], 96)],
)
def test_segments_follow_the_training_videos(lengths, wanted):
    assert segments_for(lengths, None) == wanted
    assert segments_for(lengths, 750) == 750


def test_training_rows_by_length():
    short, long = np.ones((5, 2), np.float32), np.ones((50, 2), np.float32)
    rng = np.random.default_rng(0)
    shapes = {
        length: [len(training_rows(x, 20, length, rng)) for x in (short, long)]
        for length in ("repeat", "pad", "rescale")
    }
    assert shapes == {"repeat": [20, 20], "pad": [5, 20], "rescale": [20, 20]}


def test_default_reads_every_row_at_its_centre():
    rows = reading_rows(grid(900), "centre")
    assert rows.x.shape == (900, 2)
    assert rows.centres[:2] == pytest.approx([0.32, 0.96])
    assert rows.edges[[0, 1, -1]] == pytest.approx([0, 0.64, 576])


def test_official_reads_750_rows_whose_times_are_those_of_the_released_code():
    found = reading_rows(grid(900), "start", "repeat", 750)
    assert found.x[:, 0].tolist() == [2 * (i * 900 // 750) for i in range(750)]
    # t = index * 16 * v_len / (24 * 750 * 25) for up-sampled samples: a row is 24 of them.
    assert found.edges == pytest.approx(np.arange(751) * 24 * 16 * 900 / (24 * 750 * 25))


def test_official_times_do_not_end_with_the_video():
    cut = video([0, 0.64, 1.28], [0.64, 1.28, 1.4])
    assert row_edges(cut, "start") == pytest.approx([0, 0.64, 1.28, 1.92])
    assert row_edges(cut, "centre") == pytest.approx([0, 0.64, 1.28, 1.4])


def test_edges_between_overlapping_snippets_and_gaps():
    overlapping = video([0, 0.5, 1], [1, 1.5, 2])
    assert row_edges(overlapping, "centre") == pytest.approx([0, 0.75, 1.25, 2])
    apart = video([0, 2, 4], [1, 3, 5])
    assert row_edges(apart, "centre") == pytest.approx([0, 1.5, 3.5, 5])
    assert row_edges(video([0], [0.2]), "start") == pytest.approx([0, 0.2])


def test_interpolation_spans_the_whole_video():
    line = np.arange(8, dtype=np.float32)[:, None]
    assert interpolated_rows(line, 4)[:, 0] == pytest.approx([0.5, 2.5, 4.5, 6.5])
    assert interpolated_rows(line, 8) == pytest.approx(line)
    assert interpolated_rows(line[:1], 3)[:, 0].tolist() == [0, 0, 0]
    rows = reading_rows(grid(8), "centre", "rescale", 4)
    assert rows.edges == pytest.approx(np.arange(5) * 2 * 0.64)


def test_padding():
    batch, counts = padded([np.ones((2, 3), np.float32), np.full((1, 3), 2, np.float32)])
    assert batch[:, :, 0].tolist() == [[1, 1], [2, 0]]
    assert counts.tolist() == [2, 1]
