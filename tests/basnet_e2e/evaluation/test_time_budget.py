"""Time budgets by hand, and the command that writes them."""

import csv
import json

import pytest

from basnet_e2e import Interval
from basnet_e2e.evaluation.time_budget import ALL, Budget, time_budget
from basnet_e2e.interchange.annotated import AnnotatedVideo


def observed(seconds, *intervals):
    return AnnotatedVideo.of("v", intervals, duration=seconds)


def test_by_hand():
    intervals = Interval("x", 1.0, 3.0), Interval("x", 5.0, 6.0), Interval("y", 2.0, 2.0)
    videos = {"a": observed(10.0, *intervals), "b": observed(20.0, Interval("x", 3.0, 9.0))}
    rows = {(row.video, row.label): row for row in time_budget(videos)}
    assert rows["a", "x"] == Budget("a", "x", 2, 3.0, 1.5, 1.5, 30.0, 1.0)
    assert rows["a", "y"] == Budget("a", "y", 1, 0, None, None, 0.0, 2.0)
    assert rows["b", "y"] == Budget("b", "y", 0, 0, None, None, 0.0, None)
    assert rows[ALL, "x"] == Budget(ALL, "x", 3, 9.0, 3.0, 2.0, pytest.approx(30.0), 2.0)
    assert rows[ALL, "y"] == Budget(ALL, "y", 1, 0, None, None, 0.0, 2.0)


def test_a_length_that_nobody_states():
    rows = time_budget({"a": observed(None, Interval("x", 1.0, 3.0)), "b": observed(5.0)})
    assert [row.share for row in rows] == [None, 0.0, None]


def test_the_command(tmp_path, run):
    result = {
        "video": "v",
        "file": "v.mp4",
        "duration": 10.0,
        "intervals": [
            {"label": "x", "start": 1.0, "end": 3.0, "score": 0.9},
            {"label": "x", "start": 2.0, "end": 4.0, "score": 0.5},
        ],
    }
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "v.json").write_text(json.dumps(result))
    (tmp_path / "known.csv").write_text("video,label,start,end\nw,x,2,4\nw,,6,8\n")
    output = tmp_path / "budget.csv"
    for _ in range(2):  # a budget is replaced by a budget
        code, _, err = run(
            "budget", tmp_path / "results", tmp_path / "known.csv", "-o", output, "-v"
        )
        assert code == 0, err
    assert any("1 of 3 intervals" in line for line in err)
    assert any("'w'" in line and "length" in line for line in err)
    rows = list(csv.DictReader(output.open()))
    assert rows[0] == {
        **{"video": "v", "label": "x", "bouts": "1", "total": "2.000", "mean": "2.000"},
        **{"median": "2.000", "share": "20.000", "latency": "1.000"},
    }
    assert rows[1]["share"] == rows[2]["share"] == ""
    assert (rows[2]["video"], rows[2]["bouts"], rows[2]["latency"]) == ("(all)", "2", "1.500")
    code, _, err = run("budget", tmp_path / "results", "-o", tmp_path / "known.csv")
    assert code == 2


def test_overlaps_of_people_are_one_bout(tmp_path, run):
    path = tmp_path / "known.csv"
    path.write_text("video,label,start,end\nv,x,1,3\nv,x,2,6\nv,y,2,3\nv,x,6,7\n")
    code, out, _ = run("budget", path)
    assert code == 0
    assert out.splitlines()[1] == "v,x,2,6.000,3.000,3.000,,1.000"
