"""Killed at random moments and started again: the files are those of an undisturbed run.

``BASNET_SOAK`` says how many times (default: 3; a thorough run takes 50).
"""

import os
import random
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "support" / "soak_program.py"
TIMES = int(os.environ.get("BASNET_SOAK", "3"))
LONGEST_WAIT = 1.5  # seconds from the first progress to the kill


def start(videos, out):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(videos), str(out)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def finish(*runs):
    for run in runs:
        run.communicate(timeout=1200)
        assert run.returncode == 0


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def videos(tmp_path_factory, video_writer):
    """A few short videos and a longer one of several parts."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("a.mp4", 40), ("b/long.mp4", 1100), ("c.mkv", 200)):
        (folder / name).parent.mkdir(exist_ok=True)
        video_writer(folder / name, range(frames), Fraction(1, 25))
    return folder


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    finish(start(videos, out))
    files = files_of(out)
    assert sorted(files) == ["a.safetensors", "b/long.safetensors", "c.safetensors"]
    return files


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_again_and_again_the_files_are_the_same(videos, undisturbed, tmp_path, processes):
    chance = random.Random(processes)
    out = tmp_path / "out"
    killed, runs = 0, []
    while killed < TIMES:
        while len(runs) < processes:
            runs.append(start(videos, out))
        victim = runs.pop(0)
        # A run that finds everything done says nothing and ends.
        if victim.stdout.readline():
            time.sleep(chance.uniform(0, LONGEST_WAIT))
            killed += victim.poll() is None
        victim.kill()
        victim.communicate()
        if files_of(out) == undisturbed:  # start over
            finish(*runs)
            runs.clear()
            for path in out.rglob("*.safetensors"):
                path.unlink()
    finish(*runs)
    finish(*(start(videos, out) for _ in range(processes)))
    assert files_of(out) == undisturbed
    assert [path.name for path in out.rglob(".*")] == []
