"""What a person sees on a terminal."""

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from basnet_e2e.cli.commands.evaluate import thresholds_that_fit
from basnet_e2e.cli.terminal.timeline import lanes, print_document, show_document
from basnet_e2e.intervals import Interval

GAME = {
    "video": "game",
    "file": "game.mp4",
    "duration": 60.0,
    "model": "thumos",
    "classes": {},
    "intervals": [
        {"label": "Diving", "start": 30.0, "end": 45.0, "score": 0.8},
        {"label": "a [red]name[/red] \x1b[31m", "start": 0.0, "end": 0.1, "score": 0.2},
    ],
}


def shown(document, width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    show_document(json.dumps(document), console)
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def test_lanes_stand_at_their_time():
    axis, diving = lanes([Interval("Diving", 30.0, 45.0)], 60.0, 69)
    lane = diving.plain.removeprefix("Diving  ")
    assert len(lane) == 60
    assert lane == "·" * 30 + "█" * 15 + "·" * 15
    assert axis.plain.index("|0:15") - len("Diving  ") == 15


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0, 100), st.floats(0, 100), st.floats(-1, 1)),
        min_size=1,
    ),
    st.integers(20, 200),
)
def test_every_action_is_seen_and_no_line_is_too_long(rows, width):
    found = [Interval(label, min(a, b), max(a, b), score) for label, a, b, score in rows if a != b]
    for line in lanes(found, 100.0, width)[1:] if found else []:
        assert len(line.plain) <= width
        assert set(line.plain) & set("▒▓█")


def test_a_result_is_a_timeline_and_a_table():
    text = shown(GAME)
    assert "0:30.0" in text
    assert "a [red]name[/red]" in text
    assert "\x1b" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_terminal_without_the_signs():
    text = shown(GAME, encoding="latin-1")
    assert "###" in text
    assert "..." in text


def test_nothing_found_and_failures():
    document = {
        "videos": [GAME | {"intervals": []}],
        "failed": [{"video": "bad", "file": "bad.mp4", "error": "bad.mp4: no video stream"}],
    }
    text = shown(document)
    assert "no action found" in text
    assert "bad: failed, bad.mp4: no video stream" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_json_for_a_pipe_and_lanes_for_a_terminal(terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    text = json.dumps(GAME)
    print_document(text)
    out = capsys.readouterr().out
    assert (out == text) is not terminal
    assert ("0:45.0" in out) is terminal
    print_document(text, readable=False)
    assert capsys.readouterr().out == text


TIOUS = tuple(0.5 + 0.05 * k for k in range(10))


def test_the_thresholds_that_papers_state_are_never_dropped():
    assert thresholds_that_fit(TIOUS, 3) == [0, 5, 9]
    assert thresholds_that_fit(TIOUS, 10) == list(range(10))
    assert thresholds_that_fit(TIOUS, 40) == list(range(10))
    assert len(thresholds_that_fit(TIOUS, 7)) == 7
    assert thresholds_that_fit((0.5,), 1) == [0]


def test_tables_use_a_wide_terminal(monkeypatch):
    from basnet_e2e.cli.terminal.tables import width

    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert width() == 140
    monkeypatch.setenv("COLUMNS", "40")
    assert width() == 80
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert width() == 80


def test_class_names_stay_on_a_line(tmp_path, run):
    """ActivityNet's thresholds and a long name of its classes at 80 columns."""
    name = "Putting in contact lenses"
    item = {"label": name, "segment": [0.0, 5.0]}
    truth, found = tmp_path / "gt.json", tmp_path / "found.json"
    truth.write_text(json.dumps({"database": {"v": {"annotations": [item]}}}))
    found.write_text(json.dumps({"results": {"v": [item | {"score": 0.9}]}}))
    code, out, _ = run(
        "evaluate", found, "--ground-truth", truth, "--tiou", "0.5:0.95:0.05", "--bootstrap", 0
    )
    assert code == 0
    head = next(line for line in out.splitlines() if line.startswith("class "))
    assert {"0.5", "0.75", "0.95", "mean"} <= set(head.split())
    assert any(line.startswith(f"{name} ") for line in out.splitlines())
    assert all(len(line) <= 80 for line in out.splitlines())


def test_doctor_says_what_to_donext_step():
    from basnet_e2e.cli.commands.doctor import next_step

    assert "marked" in next_step(True, ["basnet weights download i3d flow"])
    both = [f"basnet weights download i3d {stream}" for stream in ("flow", "rgb")]
    assert next_step(False, both) == both[1]
    assert next_step(False, both[:1]).startswith("basnet try video.mp4 (")
    assert next_step(False, []) == "basnet try video.mp4"
