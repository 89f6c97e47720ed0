"""`basnet labels` as a user runs it: the template, and what a label file means."""

import subprocess
import sys

import numpy as np
import pytest

from basnet_e2e.data.annotations.annotations import read_labels
from basnet_e2e.data.features.dataset import load_labelled
from extract.features.feature_file import Features


@pytest.fixture
def features(tmp_path):
    """Features of three videos, one in a folder."""
    folder = tmp_path / "features"
    start = np.arange(2) * 0.64
    for name in ("day1/a", "b, c", "d"):
        Features(
            rgb=np.zeros((2, 3), np.float32),
            flow=None,
            start=start,
            end=start + 0.64,
            meta={"settings": {"format": 1}, "facts": {}},
        ).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def labels(tmp_path):
    def write(text):
        path = tmp_path / "labels.csv"
        path.write_text(f"video,labels\n{text}", encoding="utf-8")
        return path

    return write


def test_a_template_has_a_row_for_each_video(run, features, tmp_path):
    output = tmp_path / "new" / "labels.csv"
    code, out, err = run("labels", features, "-o", output)
    assert (code, out) == (0, "")
    assert output.read_text() == 'video,labels\n"b, c",\nd,\nday1/a,\n'
    assert "3 videos" in err[0]
    assert run("labels", features) == (0, output.read_text(), [])
    assert read_labels(output).videos == {"b, c": (), "d": (), "day1/a": ()}


def test_a_template_of_videos_and_of_both(run, features, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "clip.MP4").touch()
    assert run("labels", videos)[1] == "video,labels\nclip,\n"
    assert run("labels", videos / "clip.MP4")[1] == "video,labels\nclip,\n"
    (features / "d.mp4").touch()
    (features / "e.mp4").touch()
    assert run("labels", features)[1].splitlines()[1:] == ['"b, c",', "d,", "day1/a,", "e,"]


def test_filled_in_labels_are_never_replaced_unasked(run, features, labels):
    path = labels("d,run\n")
    code, out, err = run("labels", features, "-o", path)
    assert (code, out, len(err)) == (2, "", 1)
    assert "labels may be filled in there" in err[0]
    assert path.read_text() == "video,labels\nd,run\n"
    assert run("labels", features, "-o", path, "--force")[0] == 0
    assert path.read_text().count("\n") == 4
    for name in ("d.safetensors", "d.mp4"):
        code, _, err = run("labels", features, "-o", features / name, "--force")
        assert code == 2
        assert "labels are a CSV file" in err[0]


def test_a_check_shows_classes_rows_and_ways(run, features, labels):
    path = labels('videos/day1/a.mp4,run;jump\n"b, c",\nd.mp4,run\n')
    code, out, err = run("labels", features, "--check", path)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    words = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "run 2",
        "jump 1",
        "(background only) 1",
        "videos/day1/a.mp4 day1/a the end of the path run; jump",
        "b, c b, c id (background only)",
        "d.mp4 d id plus suffix run",
    ):
        assert row in words
    assert "Left over" not in out
    assert err == ["'basnet train' can learn from these labels"]


def test_a_check_names_what_is_left_over(run, features, labels):
    (features / "failures.json").write_text('{"failed": [{"video": "bad", "error": "x"}]}')
    path = labels("D,run\nbad.mp4,run\na,jump\n")
    code, out, err = run("labels", features, "--check", path)
    assert code == 2
    words = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "D row of no video; did you mean 'd'?",
        "bad.mp4 row of a video that could not be extracted",
        "b, c video without a row, not trained on",
    ):
        assert row in words
    assert len(err) == 1
    assert err[0].startswith("error: ")
    assert "labelled videos without features" in err[0]
    code, _, err = run("labels", features, "--check", labels("d,run\n"))
    assert code == 2
    assert "the only training video has the label ('run')" in err[0]


def test_a_check_agrees_with_training(run, features, labels):
    texts = ["d,run\nb,jump\n", "d,run\nd.mp4,jump\n", "x,run\n", "d,\n", "d,run\nday1/a,run\n"]
    for text in texts:
        path = labels(text)
        code, _, checked = run("labels", features, "--check", path)
        trained = run("train", features, "--labels", path, "-o", path.with_name("m.safetensors"))
        assert (code, trained[0]) == (2, 2)
        assert checked
    path = labels("d,run\nday1/a,jump\n")
    assert run("labels", features, "--check", path)[0] == 0
    assert load_labelled(features, path).labels == [("run",), ("jump",)]


def test_a_check_before_extraction(run, tmp_path, labels):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (videos / name).touch()
    code, out, err = run("labels", videos, "--check", labels("a,run\nb,\n"))
    assert (code, err) == (
        0,
        ["'basnet train' can learn from these labels once 'basnet extract' has made features"],
    )
    assert out.startswith("2 of 2 rows match a video, 2 of 2 videos with a file have a row")


def test_mistakes_are_one_line(run, features, labels, tmp_path):
    (tmp_path / "empty").mkdir()
    path = labels("d,run\n")
    for arguments, words in [
        ((tmp_path / "none",), "no such file or folder"),
        ((tmp_path / "empty",), "neither videos nor features"),
        ((features, "--check", tmp_path / "none.csv"), "cannot be read"),
        ((features, "--check", path, "-o", tmp_path / "new.csv"), "give one of them"),
    ]:
        code, out, err = run("labels", *arguments)
        assert (code, out, len(err)) == (2, "", 1)
        assert words in err[0]


def test_labels_need_no_torch(features, labels):
    """Nor any other package that takes seconds to import."""
    path = labels("d,run\nday1/a,jump\n")
    script = (
        "import sys\n"
        "from basnet_e2e.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "assert not {'torch', 'decord', 'numba', 'matplotlib', 'scipy'} & set(sys.modules)\n"
    )
    for arguments in ([], ["--check", str(path)]):
        subprocess.run(
            [sys.executable, "-c", script, "labels", str(features), *arguments],
            check=True,
            capture_output=True,
        )
