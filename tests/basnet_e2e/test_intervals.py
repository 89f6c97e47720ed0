"""Result documents: precision, order, what is kept, what comes back when they are read."""

import csv
import doctest
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.data.annotations.predictions import read_predictions, read_results
from basnet_e2e.interchange.writers import format_results, write_results
from basnet_e2e.intervals import Failure, keep_best, temporal_iou

GAME = Localization(
    "game",
    "game.mp4",
    61.4004,
    "thumos",
    {"Diving": 0.93},
    [
        Interval("Diving", -0.5, 3.00049, 0.2),
        Interval("Diving", 12.16049, 15.04, 0.81),
        Interval("Diving", 60.0, 99.0, 0.5),
        Interval("Diving", 7.0001, 7.0002, 0.9),
    ],
)
TIMES = st.floats(-5, 70, allow_nan=False)
INTERVALS = st.lists(
    st.builds(
        lambda label, a, b, score: Interval(label, min(a, b), max(a, b), score),
        st.sampled_from("xy"),
        TIMES,
        TIMES,
        st.floats(-1, 1),
    )
)


def test_one_video_is_one_object():
    assert json.loads(format_results([GAME])) == {
        "video": "game",
        "file": "game.mp4",
        "duration": 61.4,
        "model": "thumos",
        "classes": {"Diving": 0.93},
        "intervals": [
            {"label": "Diving", "start": 12.16, "end": 15.04, "score": 0.81},
            {"label": "Diving", "start": 60.0, "end": 61.4, "score": 0.5},
            {"label": "Diving", "start": 0.0, "end": 3.0, "score": 0.2},
        ],
    }


@given(INTERVALS, st.floats(0.01, 60))
def test_written_seconds_lie_within_the_duration_with_three_decimals(intervals, duration):
    document = Localization("v", "v.mp4", duration, "m", {}, intervals).to_json()
    scores = [found["score"] for found in document["intervals"]]
    assert scores == sorted(scores, reverse=True)
    for found in document["intervals"]:
        assert 0 <= found["start"] < found["end"] <= document["duration"]
        assert all(round(found[key], 3) == found[key] for key in ("start", "end"))


def test_several_videos_and_failures_are_one_document(tmp_path):
    failed = [Failure("bad", "bad.mp4", "bad.mp4: no video stream")]
    path = tmp_path / "result.json"
    write_results(path, [GAME], failed)
    document = json.loads(path.read_text())
    assert [entry["video"] for entry in document["videos"]] == ["game"]
    assert document["failed"][0]["error"] == "bad.mp4: no video stream"
    results, failures = read_results(path)
    assert (results[0].to_json(), failures) == (GAME.to_json(), failed)
    assert read_predictions(path).failed == ("bad",)
    assert json.loads(format_results([GAME], many=True))["failed"] == []
    assert json.loads(format_results([])) == {"videos": [], "failed": []}


@pytest.mark.parametrize("layout", ["json", "activitynet"])
def test_what_is_written_is_read_back(tmp_path, layout):
    path = tmp_path / "result.json"
    write_results(path, [GAME], format=layout)
    found = read_predictions(path)
    assert [(row.start, row.end, row.score) for row in found.videos["game"]] == [
        (12.16, 15.04, 0.81),
        (60.0, 61.4, 0.5),
        (0.0, 3.0, 0.2),
    ]
    assert found.scores == ({"game": {"Diving": 0.93}} if layout == "json" else {})


def test_csv_and_subtitles():
    rows = list(csv.DictReader(io.StringIO(format_results([GAME], format="csv"))))
    assert rows[0] == {
        "video": "game",
        "label": "Diving",
        "start": "12.160",
        "end": "15.040",
        "score": "0.810000",
    }
    text = format_results([GAME], format="srt")
    assert text.startswith("1\n00:00:00,000 --> 00:00:03,000\nDiving 0.20\n\n2\n00:00:12,160 --> ")
    hours = Localization("v", "v", 9000.0, "m", {}, [Interval("x", 3661.001, 7325.5, 1)])
    assert "01:01:01,001 --> 02:02:05,500" in format_results([hours], format="srt")
    with pytest.raises(BasnetError, match="one video"):
        format_results([GAME, GAME], format="srt")
    with pytest.raises(BasnetError, match="activitynet"):
        format_results([GAME], format="xml")


@given(INTERVALS)
def test_best_intervals_do_not_overlap_within_a_class(intervals):
    kept = keep_best(intervals)
    for number, one in enumerate(kept):
        for other in kept[:number]:
            assert one.label != other.label or one.end <= other.start or other.end <= one.start
    # What is missing is hidden by something at least as good.
    for one in intervals:
        if one not in kept and one.end > one.start:
            assert any(
                other.label == one.label
                and other.score >= one.score
                and min(one.end, other.end) > max(one.start, other.start)
                for other in kept
            )


def test_weak_and_short_intervals_hide_nothing():
    intervals = [
        Interval("x", 0, 1, 0.9),
        Interval("x", 0, 5, 0.8),
        Interval("x", 5, 9, 0.1),
        Interval("y", 0, 5, 0.5),
    ]
    assert keep_best(intervals, min_score=0.2, min_length=2) == [intervals[1], intervals[3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "no detections"),
        ('{"results": {"a": 3}}', r"got a whole number at \$.results\['a'\]"),
        (
            '{"results": {"a": [{"label": "x", "segment": [0, 1]}]}}',
            r"`score` at \$.results\['a'\]\[0\]",
        ),
        ('{"results": {"a": [{"label": "x", "score": NaN, "segment": [0, 1]}]}}', "NaN is not"),
        ('{"results": {"a": [], "a": []}}', "duplicate key 'a'"),
        ('{"videos": [{"video": "a"}], "failed": []}', r"`duration` at \$.videos\[0\]"),
    ],
)
def test_damaged_predictions_are_one_line(tmp_path, text, words):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(BasnetError, match=words) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_examples_of_every_verb_hold():
    from basnet_e2e import intervals

    ran = doctest.testmod(intervals)
    verbs = ("iou", "overlaps", "clip", "temporal_iou", "by_score", "keep_best", "written")
    assert ran.failed == 0
    assert ran.attempted >= len(verbs)


@given(st.lists(st.floats(0, 50, width=32), min_size=4, max_size=4), st.sampled_from([0.0, 1.0]))
def test_iou_is_symmetric_and_what_sums_say(times, extra):
    (start, end), (other_start, other_end) = sorted(times[:2]), sorted(times[2:])
    found = float(temporal_iou(start, end, other_start, other_end, extra))
    assert found == float(temporal_iou(other_start, other_end, start, end, extra))
    shared = max(0.0, min(end, other_end) - max(start, other_start) + extra)
    union = (end - start + extra) + (other_end - other_start + extra) - shared
    empty = extra == 0 and (start == end or other_start == other_end)
    assert found == pytest.approx(0.0 if empty or union <= 0 else shared / union)
