"""The evaluator against a slow transcription of its protocol, hand cases and published figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, Interval, Localization, evaluate
from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.evaluation.evaluate import TIOUS, parse_tious
from basnet_e2e.interchange.writers import write_results


def iou(one, other):
    shared = min(one.end, other.end) - max(one.start, other.start)
    if shared <= 0 or one.end <= one.start or other.end <= other.start:
        return 0.0
    return shared / ((one.end - one.start) + (other.end - other.start) - shared)


def transcribed(predictions, truth, tiou):
    """mAP at one threshold, from the definition, one prediction after the other."""
    classes = dict.fromkeys(row.label for rows in truth.values() for row in rows)
    aps = []
    for label in classes:
        ranked = [(v, row) for v, rows in predictions.items() for row in rows if row.label == label]
        ranked.sort(key=lambda pair: -pair[1].score)  # list.sort is stable
        free = {v: [row for row in rows if row.label == label] for v, rows in truth.items()}
        positives = sum(len(rows) for rows in free.values())
        true = 0
        points = []
        for rank, (video, row) in enumerate(ranked, start=1):
            candidates = [other for other in free.get(video, []) if iou(row, other) >= tiou]
            if candidates:

                def preference(other, row=row):
                    gap = min(abs(row.start - other.start), abs(row.end - other.end))
                    return -iou(row, other), gap

                # min() keeps the first of equal ones; identity, since intervals may be equal.
                best = min(candidates, key=preference)
                free[video] = [other for other in free[video] if other is not best]
                true += 1
            points.append((true / positives, true / rank))
        area, recall_before = 0.0, 0.0
        for position, (recall, _) in enumerate(points):
            if recall > recall_before:
                area += (recall - recall_before) * max(p for _, p in points[position:])
                recall_before = recall
        aps.append(area)
    return sum(aps) / len(aps)


def an_interval(times, labels):
    return st.builds(
        lambda label, a, b, score: Interval(label, min(a, b), max(a, b), score),
        st.sampled_from(labels),
        times,
        times,
        st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8]) | st.floats(-3, 3),
    )


# Whole seconds give many ties of score and IoU, and empty intervals.
TIMES = st.integers(0, 12).map(float) | st.floats(0, 12)
TRUTH = st.dictionaries(
    st.sampled_from("abcd"), st.lists(an_interval(TIMES, ["x", "y"]), max_size=6), min_size=1
).filter(lambda videos: any(videos.values()))
FOUND = st.dictionaries(
    st.sampled_from("abcde"), st.lists(an_interval(TIMES, ["x", "y", "z"]), max_size=8)
)


@settings(max_examples=300, deadline=None)
@given(FOUND, TRUTH, st.sampled_from([0.05, 0.1, 1 / 3, 0.5, 0.75, 1.0]))
def test_map_equals_the_transcription(found, truth, tiou):
    table = evaluate(found, truth, tious=[tiou])
    assert table.map[0] == pytest.approx(transcribed(found, truth, tiou), abs=1e-9)


def test_map_equals_the_transcription_on_a_crowded_video():
    generator = np.random.default_rng(1)

    def crowd(count):
        starts = generator.uniform(0, 60, count)
        return [
            Interval("x", start, start + generator.uniform(1, 9), generator.random())
            for start in starts
        ]

    found, truth = {"a": crowd(400), "b": crowd(200)}, {"a": crowd(60), "b": crowd(40)}
    table = evaluate(found, truth)
    for column, tiou in enumerate(TIOUS):
        assert table.map[column] == pytest.approx(transcribed(found, truth, tiou), abs=1e-9)


def test_published_detections_have_their_published_map(shared_data):
    table = evaluate(
        shared_data / "detections" / "stpn_thumos14.json",
        shared_data / "thumos14" / "gt.json",
        subset="test",
    )
    expected = [52.12, 44.20, 34.70, 26.06, 17.70, 10.09, 4.99, 1.34, 0.10]
    np.testing.assert_allclose(100 * table.map, expected, atol=0.005)
    assert 100 * table.average == pytest.approx(21.25, abs=0.006)
    assert (table.videos, table.positives.sum()) == (210, 3311)
    assert table.warnings == ("annotated videos without a prediction (1): 'video_test_0000664'",)


def test_a_taken_interval_is_not_taken_again_but_the_next_best_is():
    truth = {"a": [Interval("x", 0, 10), Interval("x", 6, 16)]}
    found = {"a": [Interval("x", 1, 11, 0.9), Interval("x", 1, 11.5, 0.8)]}
    # IoU with the first 9/11 and 9/11.5, with the second 5/15 and 5.5/15.
    assert evaluate(found, truth, tious=[0.3]).map[0] == 1.0
    assert evaluate(found, truth, tious=[0.5]).map[0] == 0.5


def test_a_displaced_prediction_goes_on_to_what_it_likes_next():
    """Refusals and displacements follow each other over several rounds."""
    truth = {"a": [Interval("x", 0, 10), Interval("x", 10, 20), Interval("x", 5, 15)]}
    found = {
        "a": [
            Interval("x", 5, 15, 0.9),
            Interval("x", 4, 14, 0.8),
            Interval("x", 0, 11, 0.7),
            Interval("x", 6, 17, 0.6),
        ]
    }
    table = evaluate(found, truth, tious=[0.3])
    assert table.map[0] == pytest.approx(transcribed(found, truth, 0.3), abs=1e-12)


def test_videos_without_ground_truth_give_false_positives_and_other_labels_nothing():
    truth = {"a": [Interval("x", 0, 1)], "b": []}
    found = {
        "a": [Interval("x", 0, 1, 0.5), Interval("unknown", 0, 1, 0.99)],
        "b": [Interval("x", 0, 1, 0.6)],
        "c": [Interval("x", 0, 1, 0.7)],
    }
    table = evaluate(found, truth, tious=[0.5])
    assert table.map[0] == pytest.approx(1 / 3)
    assert any("'unknown'" in warning for warning in table.warnings)
    assert any("not in the ground truth" in w and "'c'" in w for w in table.warnings)


def test_predictions_of_another_subset_are_ignored():
    truth = GroundTruth({"a": [Interval("x", 0, 1)]}, others=frozenset({"t"}))
    found = {"t": [Interval("x", 0, 1, 0.9)], "a": [Interval("x", 0, 1, 0.1)]}
    table = evaluate(found, truth, tious=[0.5])
    assert table.map[0] == 1.0
    assert "another subset" in table.warnings[0]


def test_names_match_by_base_name_and_suffix():
    truth = {"a": [Interval("x", 0, 1)], "b": [Interval("x", 0, 1)]}
    found = {"test/a": [Interval("x", 0, 1)], "b.mp4": [Interval("x", 0, 1)]}
    assert evaluate(found, truth, tious=[0.5]).map[0] == 1.0


def test_one_video_under_two_names_is_an_error():
    found = {"a": [Interval("x", 0, 1)], "a.mp4": [Interval("x", 0, 1)]}
    with pytest.raises(BasnetError, match="both the video 'a'"):
        evaluate(found, {"a": [Interval("x", 0, 1)]})


def test_dedupe_counts_repeated_annotations_once():
    truth = {"a": [Interval("x", 0, 1), Interval("x", 0.0005, 1), Interval("y", 0, 1)]}
    found = {"a": [Interval("x", 0, 1), Interval("y", 0, 1)]}
    table = evaluate(found, truth, tious=[0.5])
    assert table.ap[:, 0].tolist() == [0.5, 1.0]
    assert "--dedupe" in table.warnings[0]
    table = evaluate(found, truth, tious=[0.5], dedupe=True)
    assert table.ap[:, 0].tolist() == [1.0, 1.0]
    assert "counted once" in table.warnings[0]


def test_odd_annotations_are_named():
    intervals = [
        Interval("x", 1, 1),
        Interval("x", 4, 3),
        Interval("x", 5, 11),
        Interval("x", 0, 2),
    ]
    table = evaluate({"a": []}, GroundTruth({"a": intervals}, durations={"a": 10.0}))
    kinds = [warning.split(" (")[0] for warning in table.warnings]
    assert kinds[:3] == [
        "annotated intervals that are empty, never found and counted as missed",
        "annotated intervals that are reversed, never found and counted as missed",
        "annotated intervals that are outside their video",
    ]
    assert "a x 5-11 s" in table.warnings[2]


def test_localizations_are_accepted():
    found = Localization("a", "a.mp4", 2.0, "m", {"x": 0.9}, [Interval("x", 0, 1, 0.5)])
    truth = {"a": [Interval("x", 0, 1)]}
    assert evaluate(found, truth).average == 1.0
    assert evaluate([found], truth).average == 1.0
    with pytest.raises(BasnetError, match="two results are called 'a'"):
        evaluate([found, found], truth)


def test_averages_appear_where_all_their_thresholds_are():
    truth = {"a": [Interval("x", 0, 10)]}
    found = {"a": [Interval("x", 0, 6.2)]}
    table = evaluate(found, truth)
    assert table.averages == pytest.approx({"0.1:0.5": 1, "0.1:0.7": 6 / 7, "0.1:0.9": 6 / 9})
    table = evaluate(found, truth, tious=parse_tious("0.5:0.95:0.05"))
    assert table.averages == pytest.approx({"0.5:0.95": 0.3})


def test_thresholds_are_parsed_with_both_ends():
    assert parse_tious("0.1:0.9:0.1") == TIOUS
    assert len(parse_tious("0.5:0.95:0.05")) == 10
    assert parse_tious(".3,.5") == (0.3, 0.5)
    for wrong in ("0.1:0.9", "a", "0:0.5:0.1", "0.9:0.1:0.1", "0.1:0.9:0.3", "1.2", ""):
        with pytest.raises(BasnetError, match="thresholds"):
            parse_tious(wrong)


def test_nothing_annotated_is_an_error():
    with pytest.raises(BasnetError, match="no annotated interval"):
        evaluate({}, {"a": []})


def test_without_a_choice_the_test_subset_is_read(shared_data):
    truth = read_ground_truth(shared_data / "thumos14" / "gt.json")
    assert (truth.subset, len(truth.videos), len(truth.others)) == ("test", 210, 200)


def test_labels_are_compared_in_one_unicode_form():
    composed, apart = "caf\u00e9", "cafe\u0301"
    truth = {apart: [Interval(composed, 0, 1)]}
    assert evaluate({composed: [Interval(apart, 0, 1)]}, truth).average == 1.0
    found = Localization(composed, "a.mp4", 2.0, "m", {apart: 0.9}, [Interval(apart, 0, 1, 0.5)])
    assert evaluate(found, truth).average == 1.0


def test_a_file_of_other_videos_is_refused(tmp_path):
    truth = {"day1/street": [Interval("x", 0, 1)]}
    found = Localization("day3/street", "a.mp4", 2.0, "m", {}, [Interval("x", 0, 1)])
    assert evaluate(found, truth).average == 0.0
    write_results(tmp_path / "found.json", [found])
    with pytest.raises(BasnetError, match=r"no predicted video is in .*'day3/street'.*'day1/s"):
        evaluate(tmp_path / "found.json", truth)
