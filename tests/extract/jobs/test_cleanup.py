"""Several processes on one features folder, shares of the videos, lists of failures."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor
from fake_extractor import run as run_plan
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ExtractError, VideoError
from extract.features.failure_lists import FAILURES, change_failures, failure_lists, read_failures
from extract.features.output_folder import OutputFolder
from extract.jobs.plan import JobQueue, make_plan
from extract.jobs.shards import Shard, parse_shard, shard_of_array, share
from extract.machine.file_locks import UNFINISHED, lock
from extract.sources.find import VideoInput

FORK = multiprocessing.get_context("fork")


class Noting(FakeExtractor):
    """Notes each video that it extracts in a file that processes share."""

    def __init__(self, notes, broken=(), seconds=0.02):
        self.notes = notes
        self.broken = broken
        self.seconds = seconds

    def extract(self, path, *, on_progress, checkpoints):
        with self.notes.open("a") as file:
            file.write(f"{path.stem}\n")
        time.sleep(self.seconds)
        if path.stem in self.broken:
            raise VideoError(f"{path}: broken")
        return self.features(path)


@pytest.fixture
def videos(tmp_path):
    inputs = []
    for n in range(12):
        path = tmp_path / "videos" / f"v{n:02}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"video {n}")
        inputs.append(VideoInput(path.stem, path))
    return inputs


def start(work, *arguments):
    process = FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def noted(notes):
    return sorted(notes.read_text().split()) if notes.exists() else []


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_three_processes_do_nothing_twice(videos, tmp_path):
    notes, out = tmp_path / "notes", tmp_path / "out"
    extractor = Noting(notes, broken={"v03", "v07"})
    plan = make_plan(videos, out, FILE_SETTINGS)
    runs = [start(run_plan, plan, extractor) for _ in range(3)]
    for run in runs:
        run.join(600)
        assert run.exitcode == 0
    assert noted(notes) == [video.id for video in videos]
    assert len(list(out.glob("*.safetensors"))) == 10
    assert read_failures(out).keys() == {"v03", "v07"}
    assert leftovers(out) == []


def test_overwriting_in_two_processes_does_nothing_twice_either(videos, tmp_path):
    out = tmp_path / "out"
    run_plan(make_plan(videos, out, FILE_SETTINGS), Noting(tmp_path / "before"))
    plan = make_plan(videos, out, FILE_SETTINGS, overwrite=True)
    notes = tmp_path / "notes"
    runs = [start(run_plan, plan, Noting(notes)) for _ in range(2)]
    for run in runs:
        run.join(600)
    assert noted(notes) == [video.id for video in videos]


def test_a_failure_in_another_process_is_a_failure_here(videos, tmp_path):
    out, notes = tmp_path / "out", tmp_path / "notes"
    plan = make_plan(videos, out, FILE_SETTINGS)
    change_failures(OutputFolder(out), (), {"v05": "v05: broken"})
    summary = run_plan(plan, Noting(notes))
    assert summary.failed == {"v05": "v05: broken"}
    assert "v05" not in noted(notes)
    assert len(summary.done) == 11


def test_a_video_whose_owner_is_killed_is_taken_over(videos, tmp_path):
    out, notes = tmp_path / "out", tmp_path / "notes"
    plan = make_plan(videos[:1], out, FILE_SETTINGS)
    owner = start(run_plan, plan, Noting(notes, seconds=3600))
    while not noted(notes):
        time.sleep(0.01)
    (out / ".v00.safetensors.abc.part").write_text("half a file")
    with lock(out, "v00", patience=0) as locked:
        assert not locked
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    assert (out / UNFINISHED / "v00.lock").exists()
    assert run_plan(plan, Noting(notes)).done == ["v00"]
    assert leftovers(out) == []


def _increment(folder, counter, times):
    for _ in range(times):
        with lock(folder, "a/b", patience=60) as locked:
            assert locked
            counter.write_text(str(int(counter.read_text()) + 1))


def test_one_at_a_time_although_the_file_comes_and_goes(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    runs = [start(_increment, tmp_path / "out", counter, 15) for _ in range(3)]
    for run in runs:
        run.join(600)
        assert run.exitcode == 0
    assert counter.read_text() == "45"
    assert leftovers(tmp_path / "out") == []


def test_videos_of_other_processes_come_last_with_a_message(videos, tmp_path, caplog):
    caplog.set_level("INFO", "extract")
    queue = JobQueue(make_plan(videos[:2], tmp_path, FILE_SETTINGS))
    queue.put_off(queue.next())
    assert "waiting" not in caplog.text
    assert queue.next().video.id == "v01"
    again = queue.next()
    assert (again.video.id, again.patience > 0) == ("v00", True)
    queue.put_off(again)
    assert "other processes are working on the rest" in caplog.text


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def none(handle, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with lock(tmp_path, "v") as locked:
        assert locked
    assert "has no locks" in caplog.text


@given(st.lists(st.text(min_size=1), unique=True, max_size=30), st.integers(1, 7))
def test_shards_share_the_videos_out(ids, count):
    videos = [VideoInput(name, Path("x")) for name in ids]
    shares = [Shard(index, count).of(videos) for index in range(count)]
    assert sorted(video.id for part in shares for video in part) == sorted(ids)


def test_a_share_is_the_same_on_every_machine():
    assert [share(name, 8) for name in ("a", "b", "c/d", "é", "e\u0301")] == [2, 2, 5, 3, 3]


def test_parsing_shards():
    assert parse_shard("7/8") == Shard(7, 8)
    for text in ("8/8", "1", "a/b", "-1/4", "1/0", "1/2/3"):
        with pytest.raises(ExtractError, match="shard"):
            parse_shard(text)


def test_the_task_of_a_slurm_array_is_the_shard():
    def of(**values):
        return shard_of_array({f"SLURM_ARRAY_TASK_{key}": value for key, value in values.items()})

    assert of(ID="3", COUNT="8", MIN="0") == Shard(3, 8)
    assert of(ID="1", COUNT="8", MIN="1") == Shard(0, 8)
    assert of(ID="14", COUNT="8", MIN="0", STEP="2") == Shard(7, 8)
    assert of(ID="3") == Shard(0, 1)
    with pytest.raises(ExtractError, match="number the tasks evenly"):
        of(ID="40", COUNT="3", MIN="1")


def test_each_shard_has_its_own_list_and_they_are_read_together(videos, tmp_path):
    out = tmp_path / "out"
    broken = {"v01", "v02", "v03", "v04"}
    for index in range(2):
        part = Shard(index, 2)
        plan = make_plan(part.of(videos), out, FILE_SETTINGS, failures=part.failures)
        run_plan(plan, Noting(tmp_path / "notes", broken))
    lists = [path.name for path in failure_lists(out)]
    assert lists == ["failures-0-of-2.json", "failures-1-of-2.json"]
    assert read_failures(out).keys() == broken
    run_plan(make_plan(videos, out, FILE_SETTINGS), Noting(tmp_path / "notes", {"v02"}))
    assert [path.name for path in failure_lists(out)] == [FAILURES]
    assert read_failures(out).keys() == {"v02"}


def test_a_damaged_list_is_replaced(tmp_path, caplog):
    (tmp_path / FAILURES).write_text("{")
    change_failures(OutputFolder(tmp_path), (), {"a": "broken"})
    assert json.loads((tmp_path / FAILURES).read_text())["failed"] == [
        {"video": "a", "error": "broken"}
    ]
    assert "or it is replaced" in caplog.text


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path, monkeypatch, error):
    made, lost = Path.mkdir, []

    def unlucky(self, *arguments, **options):
        if len(lost) < 3:
            lost.append(self)
            raise error
        made(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", unlucky)
    with lock(tmp_path / "out", "a/b") as locked:
        assert locked
    assert len(lost) == 3


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match=r"out"), lock(tmp_path / "out", "a"):
        pass
