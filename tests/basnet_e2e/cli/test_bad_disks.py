"""Disks that are full, closed or gone, clocks that jump: one clear line, a later run completes."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from basnet_e2e.cli.terminal.extract_progress import ExtractProgress
from basnet_e2e.demo.footage.encode import write_video

MINI = ("--backbone", "i3d-mini", "--streams", "rgb", "--device", "cpu")
HERE = (*MINI, "--jobs", "1")  # in this process, where tests step in
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    pictures = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    for name in NAMES:
        write_video(folder / f"{name}.mp4", list(pictures), 25, (64, 48))
    return folder


@pytest.fixture
def mount(tmp_path):
    """Mounts a file system in memory; the test is skipped where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(options):
        again = "remount," if mounted else ""
        command = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(place)
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def errors(lines):
    return [line for line in lines if line.startswith("error: ")]


def made(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_stops_an_extraction_that_then_goes_on(clips, mount, run, jobs):
    page = os.sysconf("SC_PAGE_SIZE")
    out = mount(f"size={2 * page}") / "features"
    code, _, err = run("extract", clips, "-o", out, *MINI, "--jobs", jobs)
    assert code == 1
    [line] = errors(err)
    assert f"{out}{os.sep}" in line
    assert (
        "No space left on device: 2 of 3 videos are done; run the same command to continue" in line
    )
    assert "Traceback" not in "\n".join(err)
    assert len(made(out)) == 2  # no part of the third
    mount("size=1m")
    code, _, err = run("extract", clips, "-o", out, *MINI)
    assert code == 0
    assert "3 videos: 1 to do, 2 done before" in err
    assert made(out) == [f"{name}.safetensors" for name in NAMES]


def test_a_full_disk_under_kept_features_is_no_failure_of_a_video(clips, mount, run, tmp_path):
    kept = mount(f"size={os.sysconf('SC_PAGE_SIZE')}") / "kept"
    result = tmp_path / "result.json"
    command = ("localize", clips, *MINI, "--features", kept, "-o", result)
    code, _, err = run(*command)
    assert code == 1
    [line] = errors(err)
    assert line == f"error: {kept / 'b.safetensors'}: No space left on device"
    mount("size=1m")
    assert run(*command)[0] == 0
    assert made(kept) == [f"{name}.safetensors" for name in NAMES]


def test_what_is_closed_is_refused_before_work(clips, mount, run):
    closed = mount("ro")
    for command in (
        ("extract", clips, "-o", closed / "features", *MINI),
        ("localize", clips / "a.mp4", *MINI, "-o", closed / "result.json"),
    ):
        code, _, err = run(*command)
        assert code == 2
        assert err == [f"error: {closed}: this folder cannot be written (read-only file system)"]


def test_nothing_to_do_needs_no_writing(clips, mount, run):
    disk = mount("size=1m")
    assert run("extract", clips, "-o", disk, *MINI)[0] == 0
    mount("ro")
    code, _, err = run("extract", clips, "-o", disk, *MINI)
    assert (code, err) == (0, ["3 videos: 0 to do, 3 done before"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_stream_that_takes_nothing():
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "basnet_e2e", "weights", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 1
    assert ended.stderr == "error: standard output: No space left on device\n"


@pytest.fixture
def after_the_first(monkeypatch):
    """Call it with what is to happen once the first video is done."""

    def arrange(happening):
        on_event = ExtractProgress.on_event

        def and_then(self, event):
            on_event(self, event)
            if event.kind == "done" and event.video.id == "a":
                happening()

        monkeypatch.setattr(ExtractProgress, "on_event", and_then)

    return arrange


def test_an_output_folder_that_goes_away_is_not_made_anew(clips, tmp_path, run, after_the_first):
    out, away = tmp_path / "out", tmp_path / "away"
    after_the_first(lambda: out.rename(away))
    code, _, err = run("extract", clips, "-o", out, *HERE)
    assert code == 1
    [line] = errors(err)
    assert line == (
        f"error: {out}: this folder is gone: 1 of 3 videos are done; run the same command to "
        "continue"
    )
    assert not out.exists()
    away.rename(out)
    after_the_first(lambda: None)
    code, _, err = run("extract", clips, "-o", out, *HERE)
    assert code == 0
    assert "3 videos: 2 to do, 1 done before" in err
    assert made(out) == [f"{name}.safetensors" for name in NAMES]


@pytest.mark.parametrize("emptied", [False, True])
def test_an_input_folder_that_goes_away_fails_no_video(
    clips, tmp_path, run, after_the_first, emptied
):
    videos, away, out = tmp_path / "videos", tmp_path / "away", tmp_path / "out"
    shutil.copytree(clips, videos)

    def unmount():
        videos.rename(away)
        if emptied:
            videos.mkdir()

    after_the_first(unmount)
    code, _, err = run("extract", videos, "-o", out, *HERE)
    assert code == 1
    [line] = errors(err)
    words = "this folder is empty now" if emptied else "this folder is gone"
    assert line.startswith(f"error: {videos}: {words}: 1 of 3 videos are done; ")
    assert made(out) == ["a.safetensors"]
    shutil.rmtree(videos, ignore_errors=True)
    away.rename(videos)
    assert run("extract", videos, "-o", out, *HERE)[0] == 0
    assert made(out) == [f"{name}.safetensors" for name in NAMES]


def test_one_video_that_goes_away_fails_alone(clips, tmp_path, run, after_the_first):
    videos, out = tmp_path / "videos", tmp_path / "out"
    shutil.copytree(clips, videos)
    after_the_first((videos / "b.mp4").unlink)
    code, _, err = run("extract", videos, "-o", out, *HERE)
    assert code == 1
    assert any(f"{videos / 'b.mp4'}: no such file" in line for line in err)
    assert made(out) == ["a.safetensors", "c.safetensors", "failures.json"]


def test_a_clock_that_jumps_changes_nothing(clips, tmp_path, run, monkeypatch):
    out = tmp_path / "out"
    jumps = itertools.cycle([0, 2e9, -2e9, 4e9])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    left = out / ".unfinished"
    left.mkdir(parents=True)
    for name, moved in (("a", 1e9), ("b", -1e9)):  # of processes that were killed
        (left / f"{name}.lock").touch()
        os.utime(left / f"{name}.lock", (real() + moved, real() + moved))
    began = time.monotonic()
    code, _, err = run("extract", clips, "-o", out, *HERE)
    assert code == 0
    assert made(out) == [f"{name}.safetensors" for name in NAMES]
    took = "0:02 of video in "
    [line] = [line for line in err if line.startswith(took)]
    minutes, seconds = line.removeprefix(took).split()[0].split(":")
    assert 0 <= 60 * int(minutes) + int(seconds) <= time.monotonic() - began + 1
