"""Worker processes: what they share, how they end, what they take along."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor

from extract.features.feature_file import Features, feature_path
from extract.jobs import resources, workers
from extract.jobs.plan import Summary, make_plan
from extract.jobs.resources import Division
from extract.sources.find import VideoInput
from weights.errors import WeightsError


class ScriptedExtractor(FakeExtractor):
    """Does what the video's text says: ``die``, ``weights``, ``wait FILE``, ``touch FILE``."""

    def __init__(self, device="cpu"):
        self.threads = [0]
        self.device = device

    def use_threads(self, threads):
        self.threads.append(threads)

    def extract(self, path, *, on_progress, checkpoints):
        on_progress(0, 1)
        for line in path.read_text().splitlines():
            word, _, argument = line.partition(" ")
            if word == "die":
                os._exit(3)
            elif word == "weights":
                raise WeightsError("no weights")
            elif word == "touch":
                Path(argument).touch()
            elif word == "odd":
                raise OddError(1, 2)
            elif word == "wait":
                self._wait(lambda argument=argument: Path(argument).exists(), on_progress)
            elif word == "threads":
                self._wait(lambda argument=argument: self.threads[-1] == int(argument), on_progress)
        return self.features(path, threads=self.threads[-1], device=self.device)

    @staticmethod
    def _wait(reached, on_progress):
        deadline = time.monotonic() + 600
        while not reached():
            if time.monotonic() > deadline:
                raise TimeoutError("waited in vain")
            time.sleep(0.01)
            on_progress(0, 1)


class OddError(WeightsError):
    """Cannot be made again from its pickle."""

    def __init__(self, one, other):
        super().__init__(f"{one} {other}")


@dataclass(frozen=True)
class Scripted:
    """Worker options of a scripted extractor."""

    device: str = "cpu"

    def make_extractor(self):
        return ScriptedExtractor(self.device)


@pytest.fixture
def scripts(tmp_path):
    def write(*texts):
        videos = []
        for name, text in zip("abcdef", texts, strict=False):
            path = tmp_path / f"{name}.mp4"
            path.write_text(text)
            videos.append(VideoInput(name, path))
        return make_plan(videos, tmp_path / "out", FILE_SETTINGS)

    return write


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    """Forked processes start at once; the command line's tests spawn them as users do."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda kind: context)
    return context


def run(plan, jobs=2, on_event=lambda event: None, devices=("cpu",)):
    summary = Summary()
    division = Division(jobs, 1, devices)
    with contextlib.closing(workers.events_of_workers(plan, Scripted(), division)) as events:
        for event in events:
            summary.add(event)
            on_event(event)
    return summary


def threads_of(plan, name):
    return Features.load(feature_path(plan.folder, name)).facts["threads"]


def test_the_last_videos_take_over_the_cores(scripts, monkeypatch, tmp_path):
    """Eight cores for two workers are four each, and eight for the one that is left."""
    monkeypatch.setattr(resources, "cores", lambda: 8)
    ready = tmp_path / "ready"
    # The second video is at work while the first one ends, and ends only with all cores.
    plan = scripts(f"wait {ready}\nthreads 4", f"touch {ready}\nthreads 8")
    assert sorted(run(plan).done) == ["a", "b"]
    assert (threads_of(plan, "a"), threads_of(plan, "b")) == (4, 8)


def test_a_single_worker_has_every_core(scripts, monkeypatch):
    monkeypatch.setattr(resources, "cores", lambda: 8)
    plan = scripts("")
    run(plan, jobs=8)
    assert threads_of(plan, "a") == 8


def test_each_worker_has_its_device(scripts, tmp_path):
    """The third worker shares the first one's; all three are at work at the same time."""
    begun = [tmp_path / f"begun {n}" for n in range(3)]
    waits = "".join(f"\nwait {path}" for path in begun)
    plan = scripts(*(f"touch {path}{waits}" for path in begun))
    run(plan, jobs=3, devices=("cuda:0", "cuda:1"))
    found = [Features.load(feature_path(plan.folder, name)).facts["device"] for name in "abc"]
    assert found == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(("count", "expected"), [(1, 8), (3, 2), (8, 1), (20, 1)])
def test_cores_are_shared(monkeypatch, count, expected):
    monkeypatch.setattr(resources, "cores", lambda: 8)
    assert resources.threads_each(count) == expected


def test_a_worker_that_dies_costs_one_video(scripts):
    summary = run(scripts("die", "", "", ""))
    assert sorted(summary.done) == ["b", "c", "d"]
    assert "ended with exit code 3" in summary.failed["a"]


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [("weights", WeightsError, "no weights"), ("odd", RuntimeError, "OddError: 1 2")],
)
def test_missing_weights_stop_the_run(scripts, script, error, words):
    with pytest.raises(error, match=words):
        run(scripts(script, "wait /nowhere"))
    assert not multiprocessing.active_children()


def test_a_stop_ends_the_workers(scripts, tmp_path):
    def stop(event):
        if event.kind == "progress":
            raise KeyboardInterrupt

    plan = scripts("wait /nowhere", "wait /nowhere")
    with pytest.raises(KeyboardInterrupt):
        run(plan, on_event=stop)
    assert not multiprocessing.active_children()
    assert not list(plan.folder.glob("*"))


def test_a_worker_stopped_with_its_parent_is_not_a_failure(scripts, monkeypatch):
    """A scheduler signals all processes of a job at once, in any order."""
    began = []

    class Stop(KeyboardInterrupt):
        pass

    def arrives(seconds):
        raise Stop

    def tell(event):
        if event.kind == "progress" and not began:
            began.append(event)
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGTERM)
            monkeypatch.setattr(workers.time, "sleep", arrives)

    plan = scripts("wait /nowhere", "wait /nowhere")
    with pytest.raises(Stop):
        run(plan, on_event=tell)
    monkeypatch.undo()
    assert not list(plan.folder.glob("*"))


class ForeignPipe:
    """A pipe's end of another class than multiprocessing's, as on Windows."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


def test_pipes_of_another_class_do(scripts, monkeypatch, forked):
    make = forked.Pipe

    def pipes():
        ours, theirs = make()
        return ForeignPipe(ours), theirs

    monkeypatch.setattr(forked, "Pipe", pipes)
    assert run(scripts("", "", ""), 2).done


def test_without_signal_masks_workers_start_too(scripts, monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask")
    assert run(scripts("", ""), 2).done


def test_a_worker_never_sees_ctrl_c(tmp_path):
    """A terminal sends it to all processes; one that is still importing would print a traceback."""
    program = Path(__file__).parents[2] / "support" / "blocked_signals.py"
    done = subprocess.run(
        [sys.executable, program, tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert int(signal.SIGINT) in map(int, done.stdout.split())
