"""What `basnet extract` says: how once, each video in a line, reasons counted."""

import logging

from basnet_e2e.cli.terminal.extract_report import ExtractReport, pace, reasons
from basnet_e2e.cli.terminal.video_time import VideoTime
from extract.jobs.plan import Event
from extract.sources.find import VideoInput


def done(name, how, duration=60.0, seconds=120.0):
    return Event("done", VideoInput(name, None), 9, 9, seconds, how, duration)


def test_decoder_and_engine_are_told_once_and_where_they_differ(caplog):
    caplog.set_level(logging.INFO)
    with ExtractReport(VideoTime(dict.fromkeys("abc", 1), 0.64, 64), False) as report:
        for name, how in (("a", "decord, torch"), ("b", "decord, torch"), ("c", "pyav, torch")):
            report.hear(done(name, how))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:5] == [
        "by decord, torch:",
        "[1/3] a: 1:00 of video in 2:00 (0.50x real time)",
        "[2/3] b: 1:00 of video in 2:00 (0.50x real time)",
        "by pyav, torch:",
        "[3/3] c: 1:00 of video in 2:00 (0.50x real time)",
    ]
    assert lines[5].startswith("3:00 of video in 0:00")
    assert max(map(len, lines[:5])) < 80


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
