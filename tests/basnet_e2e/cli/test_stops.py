"""`basnet extract` stopped at random moments: it ends soon and leaves nothing behind.

``BASNET_SOAK`` says how many times (default: 3; a thorough run takes 100).
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from basnet_e2e.demo.footage.encode import write_video

TIMES = int(os.environ.get("BASNET_SOAK", "3"))
VIDEOS = 6
LONGEST_WAIT = 4.0  # seconds from the first sign of work to the signal
CODES = {"SIGINT": 130, "SIGTERM": 143}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def of_session(number):
    """Command lines of the processes of a session that have not ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            if int(session) == number and state != "Z":
                found.append((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has just ended
    return found


@pytest.fixture
def videos(tmp_path):
    (tmp_path / "videos").mkdir()
    for index in range(VIDEOS):
        noise = np.random.default_rng(index).integers(0, 256, (64, 96, 128, 3), np.uint8)
        write_video(tmp_path / "videos" / f"v{index}.mp4", noise, 25, (128, 96))
    return tmp_path / "videos"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_stop_at_any_moment_leaves_nothing_behind(videos, tmp_path, jobs):
    """A terminal and schedulers signal all processes at once, ``kill`` the first one alone."""
    chance, temporary = random.Random(jobs), tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "basnet_e2e", "extract", videos, "--backbone", "i3d-mini"]
    for attempt in range(TIMES):
        out = tmp_path / f"out{attempt}"
        run = subprocess.Popen(
            [*map(str, command), "-o", str(out), "--jobs", jobs, "--device", "cpu"],
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(temporary)},
            start_new_session=True,
        )
        first = run.stderr.readline()
        time.sleep(chance.uniform(0, LONGEST_WAIT))
        name, to_all = chance.choice(sorted(CODES)), chance.choice([False, True])
        (os.killpg if to_all else os.kill)(run.pid, getattr(signal, name))
        error = (first + run.communicate(timeout=600)[1]).decode()
        done = len(list(out.glob("*.safetensors")))
        # One that comes after the work ends the process as it ends any other.
        late = done == VIDEOS and run.returncode in (0, -getattr(signal, name))
        assert run.returncode == CODES[name] or late, error
        assert done == VIDEOS or "Traceback" not in error
        while of_session(run.pid):
            time.sleep(0.1)
        left = [*out.rglob("*"), *temporary.iterdir()]
        assert not [path for path in left if path.suffix != ".safetensors"]
