"""Clocks that break: recordings put together, leaps by hours, a frame that claims a day."""

import logging

import pytest
from odd_files import RATE, Track, join, write_tracks

from extract.video.clip import open_video
from extract.video.discontinuities import close_gaps, find_discontinuities


def shown(path, number_in):
    """Numbers on the 25 fps grid."""
    with open_video(path) as clip:
        return [number_in(frame) for _, frame in clip.frames()]


PARTS = {
    "start_over": [(0, 40), (0, 40)],
    "three_times": [(0, 20), (0, 20), (0, 20)],
    "fall_back": [(500, 40), (100, 40)],
    "fall_back_a_little": [(100, 40), (115, 40)],
    "leap_by_hours": [(0, 40), (10**6, 40)],
}


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("parts", PARTS)
def test_recordings_put_together_are_shown_one_after_the_other(
    make_video, numbered, number_in, tmp_path, caplog, parts, bf, suffix
):
    codec = {"codec": "mpeg2video"} if suffix == "mpg" else {}
    files, total = [], 0
    for start, count in PARTS[parts]:
        before = total
        video = make_video(
            f"part_{total}.{suffix}",
            range(start, start + count),
            RATE,
            picture=lambda number, before=before: numbered(before + number),
            options={"bf": bf},
            **codec,
        )
        files.append(video.path)
        total += count
    path = join(tmp_path / f"whole.{suffix}", *files)
    with caplog.at_level(logging.WARNING):
        numbers = shown(path, number_in)
    assert numbers == list(range(total))
    told = [text for text in caplog.messages if "timestamps jump" in text]
    assert len(told) == 1
    assert f"at {PARTS[parts][0][1] / 25:.1f} s" in told[0]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_video_hours_after_its_sound_begins_with_the_video(tmp_path, numbered, number_in, suffix):
    path = write_tracks(tmp_path / f"late.{suffix}", [Track(start=10**5)], numbered, sound=True)
    assert shown(path, number_in) == list(range(20))


def test_times_out_of_order_are_not_a_discontinuity():
    late = [0, 3, 2, 4, 1, 7, 6, 8, 5, 9]
    assert find_discontinuities(late, RATE) == []
    assert find_discontinuities([], RATE) == find_discontinuities([7], RATE) == []
    assert find_discontinuities([5, 5, 6, 7], RATE) == []  # a frame that is never seen


def test_a_part_follows_one_frame_after_the_one_before():
    ticks = [10, 12, 14, 16, 10, 14, 12, 16, 10**9, 10**9 + 2]
    breaks = find_discontinuities(ticks, RATE)
    assert breaks == [4, 8]
    assert close_gaps(ticks, breaks) == [10, 12, 14, 16, 18, 22, 20, 24, 26, 28]


def test_a_last_frame_that_claims_hours_counts_as_the_others(make_video, number_in):
    path = make_video("claims.mp4", range(40), RATE).path
    data = bytearray(path.read_bytes())
    place = data.index(b"stts")
    # One row for all frames becomes two: all but the last, and the last for a day.
    assert data[place + 8 : place + 16] == (1).to_bytes(4) + (40).to_bytes(4)
    step = int.from_bytes(data[place + 16 : place + 20])
    rows = [(39, step), (1, 25 * 86400 * step)]
    table = b"".join(count.to_bytes(4) + delta.to_bytes(4) for count, delta in rows)
    data[place + 8 : place + 20] = len(rows).to_bytes(4) + table
    for box in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        size = data.index(box) - 4
        data[size : size + 4] = (int.from_bytes(data[size : size + 4]) + 8).to_bytes(4)
    path.write_bytes(data)
    assert shown(path, number_in) == list(range(40))
