"""Intervals, points and unknown stretches: how they are read, and what they say of rows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e import BasnetError
from basnet_e2e.data.annotations.annotations import Labels
from basnet_e2e.data.annotations.known_times import KnownTimes, Times, read_known_times
from basnet_e2e.data.annotations.row_targets import row_targets
from basnet_e2e.data.annotations.training_videos import match_training
from basnet_e2e.intervals import Interval

TABLE = """video,label,start,end
a,run,1,2.5
a,jump,4,
a,,6,9
b,,,
c,run,3,
"""
KNOWN = {
    "a": Times((Interval("run", 1, 2.5),), (Interval("jump", 4, 4),), (Interval("", 6, 9),)),
    "b": Times(),
    "c": Times(points=(Interval("run", 3, 3),)),
}
DATABASE = {
    "a": [
        {"label": "run", "segment": [1, "2.5"]},
        {"label": "jump", "segment": [4, None]},
        {"label": None, "segment": [6, 9]},
    ],
    "b": [],
    "c": [{"label": "run", "segment": [3]}],
}
EDGES = np.arange(6.0)


def written(tmp_path, text, name="known.csv"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_table_and_database_mean_the_same(tmp_path):
    database = {name: {"annotations": items} for name, items in DATABASE.items()}
    document = json.dumps({"database": database})
    assert read_known_times(written(tmp_path, TABLE)).videos == KNOWN
    found = read_known_times(written(tmp_path, document, "known.json"))
    assert found.videos == KNOWN
    assert [found.videos[name].complete for name in "abc"] == [True, True, False]
    assert found.labels.videos == {"a": ("run", "jump"), "b": (), "c": ("run",)}


def test_only_the_training_subset_of_a_database_is_read(tmp_path):
    entries = {
        "a": {"subset": "train", "annotations": DATABASE["a"]},
        "t": {"subset": "test", "annotations": DATABASE["c"]},
    }
    path = written(tmp_path, json.dumps({"database": entries}), "gt.json")
    assert list(read_known_times(path).videos) == ["a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,run,5,4", "'run' of the video 'a' from 5 to 4 s is not valid"),
        ("a,run,-1,4", "is not valid"),
        ("a,,3,", "a stretch without label of the video 'a' from 3 to nan s is not valid"),
        ("a,run,,4", "line 2: start '' is not a number of seconds"),
        ("a,run,x,4", "line 2: start 'x' is not a number of seconds"),
        (",run,1,4", "line 2: names no video"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, row, message):
    path = written(tmp_path, f"video,label,start,end\n{row}\n")
    with pytest.raises(BasnetError, match=message):
        read_known_times(path)


def matched(labels, rows, ids="abc"):
    times = KnownTimes.of(rows, source="known.csv")
    classes = tuple(dict.fromkeys(name for names in labels.values() for name in names))
    given = Labels(labels, classes, source="labels.csv") if labels else None
    return match_training(given, times, list(ids), "features")


def test_times_alone_say_all_and_beside_labels_they_add():
    rows = {"a": [Interval("run", 1, 2)], "b": []}
    alone = matched({}, rows)
    assert (alone.by_id, alone.classes) == ({"a": ("run",), "b": ()}, ("run",))
    both = matched({"c": ("jump",), "a": ("run",)}, rows)
    assert both.by_id == {"a": ("run",), "b": (), "c": ("jump",)}
    assert both.classes == ("jump", "run")
    assert list(both.times) == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "rows", "message"),
    [
        ((), [Interval("run", 1, 2)], r"known.csv: 'run' in the video 'a', which labels.csv"),
        (("run", "jump"), [Interval("run", 1, 2)], r"labels.csv: 'jump' in the video 'a'"),
        (("run",), [], r"labels.csv: 'run' in the video 'a', where known.csv has no interval"),
    ],
)
def test_labels_and_times_that_disagree_are_refused(labels, rows, message):
    with pytest.raises(BasnetError, match=message):
        matched({"a": labels, "b": ("run", "jump")}, {"a": rows})


def test_what_nobody_looked_at_may_hold_a_label():
    rows = [Interval("run", 1, 2), Interval("", 5, 9)]
    assert matched({"a": ("run", "jump")}, {"a": rows}).by_id == {"a": ("run", "jump")}
    points = [Interval("run", 1, float("nan"))]
    assert matched({"a": ("run", "jump")}, {"a": points}).by_id == {"a": ("run", "jump")}


# Rows of one second each: 0-1, 1-2, 2-3, 3-4, 4-5 -------------------------------------------------


def targets(*intervals, points=(), unknown=()):
    found = row_targets(Times(intervals, tuple(points), tuple(unknown)), EDGES, ("run", "jump"))
    return found.share.round(6).tolist(), found.weight.round(6).tolist()


def test_straddling_rows_weigh_less_the_nearer_the_border_is_to_their_middle():
    share, weight = targets(Interval("run", 0.5, 2.75))
    assert share == [[0.5, 0, 0.5], [1, 0, 0], [0.75, 0, 0.25], [0, 0, 1], [0, 0, 1]]
    assert weight == [0, 1, 0.5, 1, 1]


def test_overlapping_classes_share_a_row():
    share, weight = targets(Interval("run", 0, 3), Interval("jump", 2, 4), Interval("run", 1, 2))
    assert share == [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    assert weight == [1, 1, 1, 1, 1]


def test_rows_of_unknown_stretches_take_no_part():
    share, weight = targets(Interval("run", 0, 1), unknown=[Interval("", 2, 3.5)])
    assert [row[0] for row in share] == [1, 0, 0, 0, 0]
    assert weight == [1, 1, 0, 0.5, 1]


def test_nothing_happens_in_an_empty_video():
    share, weight = targets()
    assert share == [[0, 0, 1]] * 5
    assert weight == [1] * 5


def test_points_alone_say_nothing_of_other_rows():
    share, weight = targets(points=[Interval("jump", 2.0, 2.0), Interval("run", 9, 9)])
    assert [share[2], share[4]] == [[0, 1, 0], [1, 0, 0]]
    assert weight == [0, 0, 1, 0, 1]


def test_rows_between_a_point_and_an_interval_may_be_either():
    share, weight = targets(Interval("run", 0, 1), points=[Interval("jump", 3.5, 3.5)])
    assert [share[0], share[3]] == [[1, 0, 0], [0, 1, 0]]
    assert weight == [1, 0, 0, 1, 0]


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 5)), max_size=5))
def test_shares_add_up(pairs):
    intervals = [
        Interval("run" if index % 2 else "jump", start, start + length)
        for index, (start, length) in enumerate(pairs)
    ]
    share, weight = (np.array(each) for each in targets(*intervals))
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)
    assert ((weight >= 0) & (weight <= 1)).all()
