"""Options for many videos and many commands, as a user gives them."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from basnet_e2e.demo.footage.encode import write_video
from extract.features.feature_file import Features
from extract.jobs.shards import share
from extract.jobs.store import FeatureCache
from extract.pipeline.extractor import Extractor

MINI = ("--backbone", "i3d-mini", "--streams", "rgb", "--device", "cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    pictures = np.random.default_rng(0).integers(0, 255, (20, 96, 128, 3), np.uint8)
    for name in ("a", "b", "c"):
        write_video(folder / f"{name}.mp4", list(pictures), 25, (128, 96))
    return folder


def test_two_shards_make_what_one_run_makes(clips, tmp_path, run):
    assert run("extract", clips, "-o", tmp_path / "whole", *MINI)[0] == 0
    for index in range(2):
        code, _, err = run(
            "extract", clips, "-o", tmp_path / "parts", *MINI, "--shard", f"{index}/2"
        )
        assert code == 0, err
    for name in ("a", "b", "c"):
        one, other = (tmp_path / each / f"{name}.safetensors" for each in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()
    assert run("extract", clips, "-o", tmp_path / "x", "--shard", "2/2")[0] == 2


def test_how_the_machine_is_divided_is_said(clips, tmp_path, run, monkeypatch):
    monkeypatch.setattr("extract.jobs.resources.cores", lambda: 2)
    _, _, err = run("extract", clips, "-o", tmp_path, *MINI)
    assert "1 worker with 2 threads" in err  # so little work has no second one
    for wrong in ("0", "all"):
        code, _, err = run("extract", clips, "-o", tmp_path, *MINI, "--jobs", wrong)
        assert code == 2
        assert f"{wrong!r} is not auto or a number from 1 on" in err[-1]


def test_auto_takes_a_worker_for_each_core(clips, tmp_path, run, monkeypatch):
    """Both make what one makes; the files are small, so the bound on work is lowered."""
    monkeypatch.setattr("extract.jobs.resources.cores", lambda: 2)
    monkeypatch.setattr("extract.jobs.resources.FEWEST_BYTES", 1)
    monkeypatch.setattr("extract.jobs.resources.free_memory", lambda: None)
    code, _, err = run("extract", clips, "-o", tmp_path / "two", *MINI)
    assert code == 0
    assert "2 workers with 1 thread each" in err
    assert run("extract", clips, "-o", tmp_path / "one", *MINI, "--jobs", 1)[0] == 0
    for name in ("a", "b", "c"):
        two, one = (tmp_path / each / f"{name}.safetensors" for each in ("two", "one"))
        assert two.read_bytes() == one.read_bytes()


def test_the_task_of_an_array_is_the_shard(clips, tmp_path, run, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    (clips / "broken.mp4").write_bytes(b"none")
    try:
        code, _, _ = run("extract", clips, "-o", tmp_path / "out", *MINI)
    finally:
        (clips / "broken.mp4").unlink()
    ours = {name for name in ("a", "b", "c", "broken") if share(name, 2) == 1}
    made = {path.stem for path in (tmp_path / "out").glob("*.safetensors")}
    assert made == ours - {"broken"}
    listed = tmp_path / "out" / "failures-1-of-2.json"
    assert listed.is_file() == ("broken" in ours) == (code == 1)


def test_features_are_kept_and_used_again(clips, tmp_path, run, monkeypatch):
    video, kept = clips / "a.mp4", tmp_path / "kept"
    first = run("classify", video, *MINI, "--features", kept)
    assert first[0] == 0
    assert Features.load(kept / "a.safetensors").settings["backbone"] == "i3d-mini"
    assert FeatureCache().size() == (0, 0)
    assert run("classify", video, *MINI, "--no-cache")[1] == first[1]
    assert FeatureCache().size() == (0, 0)
    assert run("classify", video, *MINI)[1] == first[1]
    assert FeatureCache().size()[0] == 1

    def never(*arguments, **options):
        raise AssertionError("extracted again")

    monkeypatch.setattr(Extractor, "extract", never)
    assert run("classify", video, *MINI)[1] == first[1]
    assert run("classify", video, *MINI, "--features", kept)[1] == first[1]
    assert run("classify", video, *MINI, "--no-cache")[0] == 1
    code, _, err = run("classify", video, *MINI, "--no-cache", "--features", kept)
    assert (code, "give one of them" in err[-1]) == (2, True)


def test_features_never_replace_another_file(clips, tmp_path, run):
    (tmp_path / "a.safetensors").write_text("something else")
    code, _, _ = run("classify", clips / "a.mp4", *MINI, "--features", tmp_path)
    assert code == 2
    assert (tmp_path / "a.safetensors").read_text() == "something else"


def test_json_lines_tell_the_seconds_of_video(clips, tmp_path, run):
    code, _, err = run("extract", clips / "a.mp4", "-o", tmp_path / "o", *MINI, "--json-log")
    assert code == 0
    rows = [json.loads(line) for line in err if line.startswith("{")]
    assert rows[-1]["event"] == "done"
    assert rows[-1]["duration"] > 0.5


def test_a_name_that_is_not_utf8_or_too_long_costs_no_other_video(clips, tmp_path, run):
    folder = tmp_path / "videos"
    folder.mkdir()
    names = (os.fsdecode(b"caf\xe9.mp4"), f"{'l' * 250}.mp4", os.fsdecode(b"broken\xff.mp4"))
    try:
        for name in names:
            shutil.copy(clips / "a.mp4", folder / name)
    except OSError:
        pytest.skip("this file system holds no name that is not UTF-8")
    (folder / names[-1]).write_bytes(b"no video")
    shutil.copy(clips / "b.mp4", folder)
    code, _, err = run("extract", folder, "-o", tmp_path / "f", *MINI)
    assert code == 1, err
    made = sorted(tmp_path.joinpath("f").glob("*.safetensors"))
    assert [path.stem[:100] for path in made] == ["b", "caf%E9", "l" * 100]
    assert [Features.load(path).facts["file"] for path in made] == [
        "b.mp4",
        "caf%E9.mp4",
        names[1],
    ]
    (row,) = json.loads((tmp_path / "f" / "failures.json").read_text())["failed"]
    assert (row["video"], "broken%FF.mp4: " in row["error"]) == ("broken%FF", True)
    code, _, err = run("extract", folder, "-o", tmp_path / "f", *MINI)
    assert "4 videos: 1 to do, 3 done before" in err
    code, out, _ = run("extract", folder, "-o", tmp_path / "f", *MINI, "--dry-run", "--overwrite")
    assert f"caf%E9\t{folder}/caf%E9.mp4" in out.splitlines()
    code, out, _ = run("labels", folder)
    assert out.splitlines()[1:4] == ["b,", "broken%FF,", "caf%E9,"]
    options = ("--backbone", "i3d-mini", "--device", "cpu")
    code, out, err = run("localize", folder, "-o", f"{tmp_path}/r/", *options)
    assert code == 1, err
    assert len(list((tmp_path / "r").iterdir())) == 4
    assert json.loads((tmp_path / "r" / "caf%E9.json").read_text())["file"] == "caf%E9.mp4"


def test_workers_whose_command_is_killed_end_quietly(tmp_path):
    for name in "ab":
        pictures = [np.full((48, 64, 3), n % 256, np.uint8) for n in range(2500)]
        write_video(tmp_path / "videos" / f"{name}.mp4", pictures, 25, (64, 48))
    command = ["-m", "basnet_e2e", "extract", tmp_path / "videos", "-o", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, *command, *MINI, "--jobs", "2", "--json-log"],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if '"event": "progress"' in line:
            break
    process.kill()
    _, rest = process.communicate(timeout=600)  # until the workers have closed it too
    assert "Traceback" not in rest
    assert not list((tmp_path / "out").glob("*.safetensors"))
