"""`basnet evaluate` and `basnet export` as a user runs them."""

import json
from dataclasses import dataclass

import pytest

from basnet_e2e.cli import main
from basnet_e2e.interchange.writers import write_results
from basnet_e2e.intervals import Failure, Interval, Localization


@dataclass(frozen=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capfd):
    """Run the command line in this process."""

    def command(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Done(left.value.code, *capfd.readouterr())

    return command


@pytest.fixture
def files(tmp_path):
    """Predictions for one of two annotated videos, and their ground truth."""
    segment = {"label": "[bold]run", "segment": [1, 3]}
    entries = {
        "a": {"subset": "test", "duration": 10, "annotations": [segment, segment]},
        "b": {"subset": "test", "duration": 10, "annotations": []},
        "c": {"subset": "train", "duration": 10, "annotations": [segment]},
    }
    truth = tmp_path / "gt.json"
    truth.write_text(json.dumps({"database": entries}))
    found = [Interval("[bold]run", 1, 3, 0.9), Interval("swim", 1, 3, 0.5)]
    result = tmp_path / "result.json"
    write_results(result, [Localization("a", "a.mp4", 10, "m", {"[bold]run": 0.9}, found)])
    return result, truth


def test_tables_fit_80_columns_and_warnings_go_to_stderr(run, files):
    result, truth = files
    done = run("evaluate", result, "--ground-truth", truth)
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "mAP in % over 1 class, 2 intervals in 2 videos, subset test" in done.stdout
    assert "[bold]run" in done.stdout
    assert "average 0.1:0.5" in done.stdout
    assert "classification of 1 video: accuracy 100.0 %, mAP 100.0 %" in done.stdout
    assert "warning: annotated intervals that are repeated" in done.stderr
    assert "'swim'" in done.stderr
    assert done.stdout == run("evaluate", result, "--ground-truth", truth).stdout


def test_json_is_all_there_is_on_stdout(run, files):
    result, truth = files
    done = run("evaluate", result, "--ground-truth", truth, "--json", "--tiou", "0.5:0.7:0.1")
    document = json.loads(done.stdout)
    assert document["tiou"] == [0.5, 0.6, 0.7]
    assert document["map"] == [0.5, 0.5, 0.5]
    assert document["classes"]["[bold]run"] == {
        "ground_truth": 2,
        "predictions": 1,
        "ap": [0.5, 0.5, 0.5],
    }
    assert len(document["warnings"]) == 2
    assert document["by_length"]["ranges"][0]["recall"] == 0.5
    assert document["false_positives"]["true"] == 1
    done = run("evaluate", result, "--ground-truth", truth, "--json", "--dedupe", "--bootstrap", 0)
    assert json.loads(done.stdout)["average"] == 1.0
    assert json.loads(done.stdout)["confidence"] is None


def test_ground_truth_may_be_a_table(run, files, tmp_path):
    result, _ = files
    truth = tmp_path / "truth.csv"
    truth.write_text("video,label,start,end\na,[bold]run,1,3\nb,,,\n")
    done = run("evaluate", result, "--ground-truth", truth, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["average"] == 1.0
    assert json.loads(done.stdout)["videos"] == 2
    done = run("evaluate", result, "--ground-truth", truth, "--subset", "test")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "leave out --subset" in done.stderr


def test_a_subset_without_predictions_is_one_line(run, files):
    result, truth = files
    done = run("evaluate", result, "--ground-truth", truth, "--subset", "train")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no predicted video is in the subset train" in done.stderr
    assert "1 belong to other subsets" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_result_without_videos_is_one_line(run, files, tmp_path):
    _, truth = files
    result = tmp_path / "none.json"
    write_results(result, [], [Failure("a", "a.mp4", "damaged")])
    done = run("evaluate", result, "--ground-truth", truth)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no predicted video; all 1 failed" in done.stderr


@pytest.mark.parametrize("layout", ["json", "activitynet"])
@pytest.mark.parametrize("keep", ["best", "all"])
def test_evaluation_wants_all_proposals(run, files, tmp_path, layout, keep):
    _, truth = files
    found = Localization("a", "a.mp4", 10, "m", {}, [Interval("[bold]run", 1, 3, 0.9)],
                         {"keep": keep})  # fmt: skip
    result = tmp_path / "found.json"
    write_results(result, [found], format=layout)
    done = run("evaluate", result, "--ground-truth", truth)
    assert done.exit_code == 0
    assert ("made with --keep best" in done.stderr) == (keep == "best")


def test_a_predicted_label_of_another_spelling_gets_a_hint(run, files, tmp_path):
    _, truth = files
    result = tmp_path / "found.json"
    found = [Interval("[Bold]Run", 1, 3, 0.9), Interval("[bold]run", 1, 3, 0.9)]
    write_results(result, [Localization("a", "a.mp4", 10, "m", {}, found)])
    done = run("evaluate", result, "--ground-truth", truth)
    assert "'[Bold]Run' (did you mean '[bold]run'?)" in done.stderr


def test_predicted_videos_that_match_by_file_name_are_counted(run, files, tmp_path):
    _, truth = files
    result = tmp_path / "found.json"
    found = [Localization("x/a", "a.mp4", 10, "m"), Localization("b", "b.mp4", 10, "m")]
    write_results(result, found)
    done = run("evaluate", result, "--ground-truth", truth)
    assert "1 predicted video matched by the end of the path (-v lists them)" in done.stderr


def test_mistakes_are_one_line_with_exit_code_2(run, files, tmp_path):
    result, truth = files
    for arguments, words in [
        ((tmp_path / "none.json", "--ground-truth", truth), "none.json: cannot be read"),
        ((truth, "--ground-truth", truth), "no detections in this file"),
        ((result, "--ground-truth", result), "not an annotation file"),
        ((result, "--ground-truth", truth, "--subset", "val"), "subsets: test, train"),
        ((result, "--ground-truth", truth, "--tiou", "x"), "thresholds 'x'"),
    ]:
        done = run("evaluate", *arguments)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_published_detections_by_command(run, shared_data):
    done = run(
        "evaluate",
        shared_data / "detections" / "stpn_thumos14.json",
        "--ground-truth",
        shared_data / "thumos14" / "gt.json",
        "--bootstrap",
        0,
    )
    assert done.exit_code == 0
    values = [line.split() for line in done.stdout.splitlines()]
    assert ["0.1", "52.12"] in values
    assert ["0.5", "17.70"] in values
    assert ["average", "0.1:0.9", "21.25"] in values
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_intervals_are_exported(run, files, tmp_path):
    result, _ = files
    done = run("export", "intervals", result, "--format", "csv")
    assert done.stdout.splitlines()[1] == "a,[bold]run,1.000,3.000,0.900000"
    target = tmp_path / "a.srt"
    assert run("export", "intervals", result, "--format", "srt", "-o", target).exit_code == 0
    assert target.read_text().startswith("1\n00:00:01,000 --> 00:00:03,000\n")
    done = run("export", "intervals", result, "--format", "activitynet")
    assert json.loads(done.stdout)["results"]["a"][0]["segment"] == [1.0, 3.0]


def test_what_localize_writes_for_others_is_exported_too(run, files, tmp_path):
    result, _ = files
    other = tmp_path / "activitynet.json"
    assert run("export", "intervals", result, "--format", "activitynet", "-o", other).exit_code == 0
    for layout in ("csv", "activitynet", "srt"):
        from_ours = run("export", "intervals", result, "--format", layout)
        from_other = run("export", "intervals", other, "--format", layout)
        assert from_other == from_ours
        assert from_ours.exit_code == 0
    done = run("export", "intervals", other, "--format", "json")
    assert json.loads(done.stdout)["duration"] == 3.0
    assert "how long its videos are" in done.stderr


def test_export_of_what_is_no_result(run, tmp_path):
    done = run("export", "features", tmp_path, "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no features in this folder" in done.stderr
