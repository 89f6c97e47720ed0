"""How far an extraction is, counted in the time of its videos, and what a person sees of it."""

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e.cli.terminal import extract_bar
from basnet_e2e.cli.terminal.extract_bar import ExtractBar
from basnet_e2e.cli.terminal.video_time import COLUMNS, VideoTime
from extract.jobs.plan import Event
from extract.sources.find import VideoInput

SNIPPET = 0.64
PART = 64


def event(kind, name, done=0, total=0, duration=0.0):
    return Event(kind, VideoInput(name, None), done, total, duration=duration)


@pytest.fixture
def time():
    return VideoTime({"a": 100, "b": 100, "c": 200, "d": 50}, SNIPPET, PART)


def test_nothing_is_said_before_a_length_is_known(time):
    assert time.line(1.0) == "0/4 videos"
    time.hear(event("start", "a"))
    assert (time.total, time.at_work()) == (None, "a")
    time.hear(event("failed", "a"))
    assert time.line(1.0) == "1/4 videos, 1 failed"


def test_a_video_that_is_open_tells_how_long_those_to_come_are(time):
    time.hear(event("start", "a"))
    time.hear(event("progress", "a", 10, 100))
    assert time.total == pytest.approx(64.0 * 450 / 100)
    assert time.done == pytest.approx(6.4)
    # 6.4 s of video in 12.8 s: half of real time, and twice the rest is left.
    assert time.left(12.8) == pytest.approx(2 * (288 - 6.4))
    assert time.line(12.8) == "0/4 videos: 0:06 of 4:48, 0.50x real time, 9:23 left"
    assert time.at_work() == "a 10 %"


def test_the_end_of_a_video_is_its_own_length_and_failures_have_none(time):
    for name, duration in (("a", 60.0), ("b", 30.0)):
        time.hear(event("start", name))
        time.hear(event("progress", name, 5, 100))
        time.hear(event("done", name, 100, 100, duration))
    assert (time.done, time.worked, time.ended) == (90.0, 90.0, 2)
    assert time.total == pytest.approx(90 + 90 / 200 * 250)
    time.hear(event("start", "c"))
    time.hear(event("progress", "c", 50, 200))
    time.hear(event("failed", "c"))
    assert time.total == pytest.approx(90 + 90 / 200 * 50)
    time.hear(event("elsewhere", "d"))
    assert (time.total, time.done, time.left(1.0)) == (90.0, 90.0, 0.0)
    assert time.line(180.0).startswith("4/4 videos, 1 failed: 1:30 of 1:30")


def test_what_an_earlier_run_did_is_done_but_not_fast(time):
    """A video that goes on after two parts: its first group is all that this run has done."""
    time.hear(event("start", "a"))
    time.hear(event("progress", "a", 2 * PART + 4, 500))
    assert time.done == pytest.approx((2 * PART + 4) * SNIPPET)
    assert time.worked == pytest.approx(4 * SNIPPET)
    time.hear(event("done", "a", 500, 500, 320.0))
    assert time.worked == pytest.approx(320 - 2 * PART * SNIPPET)


NAMES = st.lists(
    st.text("abcdefgh/_é", min_size=1, max_size=60), min_size=1, max_size=40, unique=True
)


@given(NAMES, st.data())
def test_each_line_fits_80_columns(names, data):
    sizes = dict.fromkeys(names, 10**9)
    time = VideoTime(sizes, SNIPPET, PART)
    for name in names:
        time.hear(event("start", name))
        total = data.draw(st.integers(1, 20_000))
        time.hear(event("progress", name, data.draw(st.integers(1, total)), total))
    elapsed = data.draw(st.floats(0.1, 1e6))
    assert len(time.line(elapsed)) <= COLUMNS
    at_work = time.at_work()
    assert len(at_work) <= COLUMNS
    assert at_work
    hidden = re.search(r"(\d+) more$", at_work)
    assert at_work.count(" %") + int(hidden[1] if hidden else 0) == len(names)


def test_a_log_has_a_line_from_time_to_time(time, monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(extract_bar, "_now", lambda: now[0])
    with ExtractBar(time) as bar:
        now[0] += 10  # while networks are loaded
        time.hear(event("start", "a"))
        bar.update()
        for step in range(1, 7):
            now[0] += 5
            time.hear(event("progress", "a", step, 100))
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "0/4 videos: 0:00 of 4:48, 0.13x real time, 37:25 left",
        "  a 1 %",
        "0/4 videos: 0:02 of 4:48, 0.13x real time, 37:10 left",
        "  a 4 %",
    ]


@pytest.mark.parametrize("known", [False, True])
def test_a_terminal_has_a_bar_and_the_files_at_work_below_it(time, monkeypatch, known):
    terminal = io.TextIOWrapper(io.BytesIO(), write_through=True)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    time.hear(event("start", "a"))
    if known:
        time.hear(event("progress", "a", 50, 100))
    with ExtractBar(time) as bar:
        bar.update()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.buffer.getvalue().decode())
    lines = [line.strip() for line in shown.replace("\r", "\n").splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert any("0/4 videos" in line and ("of 4:48" in line) == known for line in lines)
    assert ("a 50 %" if known else "a") in lines


def test_quiet_shows_nothing(time, monkeypatch, capsys):
    monkeypatch.setattr(extract_bar, "PLAIN_LINE_EVERY", 0.0)
    with ExtractBar(time, quiet=True) as bar:
        time.hear(event("progress", "a", 1, 100))
        bar.update()
    assert capsys.readouterr().err == ""
