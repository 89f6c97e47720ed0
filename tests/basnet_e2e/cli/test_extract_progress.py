"""What `basnet extract` says: progress in video time, each video in a line, reasons counted."""

import io
import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e.cli.terminal import progress
from basnet_e2e.cli.terminal.extract_progress import COLUMNS, ExtractProgress, pace, reasons
from extract.jobs.plan import Event
from extract.sources.find import VideoInput


def event(kind, name, done=0, total=0, duration=0.0, message="", seconds=0.0):
    return Event(kind, VideoInput(name, None), done, total, seconds, message, duration)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def shown(clock):
    logging.getLogger("basnet_e2e").setLevel(logging.INFO)
    with ExtractProgress() as found:
        found.begin({"a": 100, "b": 100, "c": 200, "d": 50})
        yield found


def test_nothing_is_said_before_a_length_is_known(shown):
    assert shown.line() == "0/4 videos"
    shown.on_event(event("start", "a"))
    assert (shown.seconds(), shown.running()) == ((0.0, None), "a")
    shown.on_event(event("failed", "a"))
    assert shown.line() == "1/4 videos, 1 failed"


def test_a_video_that_is_open_tells_how_long_those_to_come_are(shown, clock):
    shown.on_event(event("start", "a"))
    shown.on_event(event("progress", "a", 0, 100, 64.0))
    assert shown.seconds() == (0.0, pytest.approx(64.0 * 450 / 100))
    for done in (5, 10):
        shown.on_event(event("progress", "a", done, 100, 64.0))
        clock[0] += 6.4
    # 3.2 s of video in 6.4 s: half of real time, and twice the rest is left.
    assert shown.line() == "0/4 videos: 0:06 of 4:48, 0.50x real time, 9:24 left"
    assert shown.running() == "a 10 %"


def test_the_end_of_a_video_is_its_own_length_and_failures_have_none(shown):
    for name, duration in (("a", 60.0), ("b", 30.0)):
        shown.on_event(event("start", name))
        shown.on_event(event("progress", name, 0, 100, 64.0))
        shown.on_event(event("done", name, 100, 100, duration))
    assert shown.seconds() == (90.0, pytest.approx(90 + 90 / 200 * 250))
    shown.on_event(event("start", "c"))
    shown.on_event(event("progress", "c", 50, 200, 128.0))
    shown.on_event(event("failed", "c"))
    assert shown.seconds() == (90.0, pytest.approx(90 + 90 / 200 * 50))
    shown.on_event(event("elsewhere", "d"))
    assert shown.seconds() == (90.0, 90.0)
    assert shown.line().startswith("4/4 videos, 1 failed: 1:30 of 1:30")


def test_what_an_interrupted_run_did_counts_for_nothing(shown):
    shown.on_event(event("start", "a"))
    shown.on_event(event("progress", "a", 128, 500, 320.0))
    assert shown.seconds()[0] == 0.0
    shown.on_event(event("progress", "a", 132, 500, 320.0))
    assert shown.seconds()[0] == pytest.approx(4 * 0.64)
    assert shown.running() == "a 26 %"
    shown.on_event(event("done", "a", 500, 500, 320.0))
    assert shown.seconds()[0] == pytest.approx(320 - 128 * 0.64)


NAMES = st.lists(
    st.text("abcdefgh/_é", min_size=1, max_size=60), min_size=1, max_size=40, unique=True
)


@given(NAMES, st.data())
def test_each_line_fits_80_columns(names, data):
    shown = ExtractProgress()
    shown.begin(dict.fromkeys(names, 10**9))
    for name in names:
        total = data.draw(st.integers(1, 20_000))
        shown.on_event(event("start", name))
        shown.on_event(event("progress", name, 0, total, total * 0.64))
        done = data.draw(st.integers(1, total))
        shown.on_event(event("progress", name, done, total, total * 0.64))
    assert len(shown.line()) <= COLUMNS
    running = shown.running()
    assert 0 < len(running) <= COLUMNS
    hidden = re.search(r"(\d+) more$", running)
    assert running.count(" %") + int(hidden[1] if hidden else 0) == len(names)


def test_a_log_has_a_line_from_time_to_time(shown, clock, capsys):
    clock[0] += 10  # while networks are loaded
    shown.on_event(event("start", "a"))
    for step in range(7):
        clock[0] += 5
        shown.on_event(event("progress", "a", step, 100, 64.0))
    assert capsys.readouterr().err.splitlines() == [
        "0/4 videos: 0:00 of 4:48",
        "  a 0 %",
        "0/4 videos: 0:01 of 4:48, 0.13x real time, 37:16 left",
        "  a 3 %",
        "0/4 videos: 0:03 of 4:48, 0.13x real time, 37:00 left",
        "  a 6 %",
    ]


@pytest.mark.parametrize("known", [False, True])
def test_a_terminal_has_a_bar_and_the_running_videos_below_it(monkeypatch, known):
    terminal = io.TextIOWrapper(io.BytesIO(), write_through=True)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    logging.getLogger("basnet_e2e").setLevel(logging.INFO)
    with ExtractProgress() as shown:
        shown.begin({"a": 100, "b": 350})
        shown.on_event(event("start", "a"))
        if known:
            shown.on_event(event("progress", "a", 0, 100, 64.0))
            shown.on_event(event("progress", "a", 50, 100, 64.0))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.buffer.getvalue().decode())
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert any("0/2 videos" in line and ("of 4:48" in line) == known for line in lines)
    assert ("a 50 %" if known else "a") in lines


def test_quiet_shows_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    logging.getLogger("basnet_e2e").setLevel(logging.WARNING)
    with ExtractProgress() as shown:
        shown.begin({"a": 1})
        shown.on_event(event("progress", "a", 1, 100, 64.0))
    assert capsys.readouterr().err == ""


def test_a_json_log_has_a_line_for_each_event(capsys):
    with ExtractProgress(json_log=True) as shown:
        shown.begin({"a": 1})
        shown.on_event(event("progress", "a", 1, 100, 64.0))
    assert json.loads(capsys.readouterr().err) == {
        **{"event": "progress", "video": "a", "done": 1, "total": 100},
        **{"seconds": 0.0, "duration": 64.0, "message": ""},
    }


def test_decoder_and_engine_are_told_once_and_where_they_differ(caplog):
    caplog.set_level(logging.INFO)
    with ExtractProgress() as shown:
        shown.begin(dict.fromkeys("abc", 1))
        for name, how in (("a", "decord, torch"), ("b", "decord, torch"), ("c", "pyav, torch")):
            shown.on_event(event("done", name, 9, 9, 60.0, how, 120.0))
    lines = caplog.messages
    assert lines[:5] == [
        "by decord, torch:",
        "[1/3] a: 1:00 of video in 2:00 (0.50x real time)",
        "[2/3] b: 1:00 of video in 2:00 (0.50x real time)",
        "by pyav, torch:",
        "[3/3] c: 1:00 of video in 2:00 (0.50x real time)",
    ]
    assert lines[5].startswith("3:00 of video in 0:00")
    assert max(map(len, lines[:5])) < 80


def test_an_interrupted_run_says_what_is_done(shown):
    shown.on_event(event("done", "a", 9, 9, 60.0))
    stop = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt), shown:
        raise stop
    assert stop.__notes__ == ["1 of 4 videos are done; run the same command to continue"]


def test_reasons_are_counted_without_names_and_numbers():
    messages = [f"/videos/{n}.mp4: decoding failed at {n}.5 s (x)" for n in range(3)]
    messages += ["b.mp4: the file is empty", *(f"c.mp4: {'reason ' * n}" for n in range(1, 7))]
    found = reasons(messages)
    assert found[0] == ("decoding failed at N s (x)", 3)
    assert found[-1] == ("other reasons", 3)
    assert sum(count for _, count in found) == len(messages)
    assert all(len(text) <= 70 for text, _ in reasons([f"a.mp4: {'long ' * 50}"]))


def test_pace_of_nothing_is_no_error():
    assert pace(0.0, 0.0) == "0:00 of video in 0:00 (0.00x real time)"
