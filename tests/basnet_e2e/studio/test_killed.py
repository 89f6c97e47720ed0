"""A studio that is killed loses nothing that it called saved, and its children end with it."""

import time
from pathlib import Path

import numpy as np
import pytest
from killed_studio import killed_sessions
from studio_server import Studio


def test_nothing_saved_is_lost(videos, tmp_path):
    changes = killed_sessions(
        videos, tmp_path / "project", tmp_path / "cache", 4, np.random.default_rng(0)
    )
    assert changes > 4


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_children_end_with_the_server(videos, tmp_path):
    project = tmp_path / "project"
    with Studio(videos, project, cache=tmp_path / "cache") as studio:
        studio.wait(lambda found: found["status"]["features"]["running"], "extraction")
        assert workers(project)
        studio.kill()
    end = time.monotonic() + 60
    while workers(project) and time.monotonic() < end:
        time.sleep(0.1)
    assert workers(project) == []
    with Studio(videos, project, cache=tmp_path / "cache") as studio:
        studio.wait(
            lambda found: found["status"]["features"]["done"] == len(found["rows"]), "features"
        )


def workers(project):
    """Command lines of this project's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if "studio.tasks.worker" in line and str(project) in line:
            found.append(line)
    return found
