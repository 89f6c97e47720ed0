"""Extraction on a Ray cluster of two machines, which the test starts."""

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import fake_extractor
import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor

from extract.errors import ExtractError, VideoError
from extract.features.failure_lists import read_failures
from extract.jobs import ray_cluster
from extract.jobs.plan import Summary, make_plan
from extract.sources import storage
from extract.sources.find import VideoInput, find_videos
from extract.sources.urls import Url
from weights.errors import WeightsError

pytestmark = pytest.mark.xdist_group("ray")


class Scripted(FakeExtractor):
    """Does what the video's text says, and notes where."""

    def __init__(self, notes):
        self._notes = notes

    def extract(self, path, *, on_progress, checkpoints):
        import ray

        with self._notes.open("a") as file:
            file.write(f"{path.stem} {ray.get_runtime_context().get_node_id()}\n")
        on_progress(0, 1)
        for line in path.read_text().splitlines():
            word, _, argument = line.partition(" ")
            if word == "die":
                os._exit(3)
            elif word == "broken":
                raise VideoError(f"{path}: broken")
            elif word == "weights":
                raise WeightsError("no weights")
            elif word == "wait":
                self._wait(Path(argument), on_progress)
        return self.features(path)

    @staticmethod
    def _wait(path, on_progress):
        deadline = time.monotonic() + 600
        while not path.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("waited in vain")
            time.sleep(0.05)
            on_progress(0, 1)


@dataclass(frozen=True)
class Options:
    """Worker options of a scripted extractor."""

    notes: Path
    device: str = "cpu"

    def make_extractor(self):
        return Scripted(self.notes)


class Work:
    """Videos of scripts, the folder of their features, and notes on who did what."""

    def __init__(self, folder, ray_cluster):
        self._folder, self._cluster = folder, ray_cluster
        self.notes = folder / "notes"
        self.out = folder / "out"
        self.events = []

    def plan(self, *texts):
        videos = []
        for name, text in zip("abcdef", texts, strict=False):
            path = self._folder / f"{name}.mp4"
            path.write_text(text)
            videos.append(VideoInput(name, path))
        return make_plan(videos, self.out, FILE_SETTINGS)

    def run(self, *texts, on_event=lambda event: None, jobs=None):
        return self.do(self.plan(*texts), on_event, jobs)

    def do(self, plan, on_event=lambda event: None, jobs=None):
        summary = Summary()

        def told(event):
            summary.add(event)
            self.events.append(event)
            on_event(event)

        options = Options(self.notes)
        ray_cluster.run_on_cluster(plan, options, self._cluster.address, jobs, told)
        return summary

    def noted(self, name):
        """Nodes that worked on a video, one after the other."""
        rows = [line.split() for line in self.notes.read_text().splitlines()]
        return [node for video, node in rows if video == name]

    def leftovers(self):
        return [path for path in self.out.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def work(tmp_path, ray_cluster):
    import ray

    modules = (sys.modules[__name__], fake_extractor)  # which actors cannot import
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    yield Work(tmp_path, ray_cluster)
    for module in modules:
        ray.cloudpickle.unregister_pickle_by_value(module)


def test_both_machines_work_and_a_broken_video_is_a_value(work, tmp_path):
    met = tmp_path / "met"

    def on_event(event):
        if event.kind == "progress" and len({e.video.id for e in work.events}) >= 2:
            met.touch()  # two videos are at work at the same time

    summary = work.run(f"wait {met}", f"wait {met}", "broken", "", on_event=on_event)
    assert sorted(summary.done) == ["a", "b", "d"]
    assert summary.failed.keys() == {"c"}
    assert read_failures(work.out) == summary.failed
    assert work.noted("a") != work.noted("b")
    assert len(work.noted("c")) == 1
    assert {e.video.id for e in work.events if e.kind == "done"} == {"a", "b", "d"}
    assert work.leftovers() == []


def test_a_video_that_kills_its_worker_each_time_is_a_failure(work):
    summary = work.run("die", "", "", jobs=1)
    assert sorted(summary.done) == ["b", "c"]
    assert len(work.noted("a")) == 2
    assert "its worker was lost twice" in summary.failed["a"]
    assert read_failures(work.out) == summary.failed
    assert work.leftovers() == []


def test_a_machine_that_dies_costs_no_video(work, ray_cluster, tmp_path):
    go_on = tmp_path / "go on"
    node = ray_cluster.add_node(num_cpus=2)
    ray_cluster.wait_for_nodes(timeout=300)
    killed = []

    def on_event(event):
        if event.kind != "progress" or killed:
            return
        victim = [name for name in "abc" if node.node_id in work.noted(name)]
        if victim:
            killed.extend(victim)
            ray_cluster.remove_node(node, allow_graceful=False)
            threading.Timer(1.0, go_on.touch).start()

    waiting = f"wait {go_on}"
    summary = work.run(waiting, waiting, waiting, "", on_event=on_event)
    assert sorted(summary.done) == ["a", "b", "c", "d"]
    assert len(killed) == 1
    attempts = work.noted(killed[0])
    assert len(attempts) == 2
    assert attempts[1] != attempts[0] == node.node_id
    assert work.leftovers() == []


def test_urls_in_and_out_and_failures_of_two_machines_in_one_list(work, tmp_path, monkeypatch):
    """Machines that write to a URL have no locks in common."""
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    root = Url(f"local://{tmp_path}/elsewhere")
    for name in "abcdef":
        storage.write(root / f"in/{name}.mp4", b"broken" if name in "abcd" else b"")
    plan = make_plan(find_videos([root / "in"]), root / "out", FILE_SETTINGS)
    summary = work.do(plan)
    assert sorted(summary.done) == ["e", "f"]
    assert summary.failed == read_failures(root / "out")
    assert summary.failed == {name: f"{root}/in/{name}.mp4: broken" for name in "abcd"}
    assert len(make_plan(find_videos([root / "in"]), root / "out", FILE_SETTINGS).present) == 2


def test_ctrl_c_ends_everything(work):
    def stop(event):
        if event.kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.run("wait /nowhere", "wait /nowhere", on_event=stop)
    assert not [path for path in work.out.rglob("*") if path.is_file()]


def test_a_schedulers_stop_still_comes_here(work):
    def ours(number, frame):
        pass

    before, seen = signal.signal(signal.SIGTERM, ours), []
    try:
        work.run("", on_event=lambda event: seen.append(signal.getsignal(signal.SIGTERM)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(seen) == {ours}


def test_missing_weights_stop_the_run(work):
    with pytest.raises(WeightsError, match="no weights"):
        work.run("weights", "wait /nowhere")


def test_a_machine_with_another_version_is_refused(work, monkeypatch):
    monkeypatch.setattr(ray_cluster, "code_hash", lambda: "other")
    with pytest.raises(ExtractError, match="another version of basnet-e2e"):
        work.run("")


def test_a_machine_that_does_not_see_the_folder_is_refused(work, monkeypatch, tmp_path):
    not_shared = contextlib.nullcontext((tmp_path / "probe",))
    monkeypatch.setattr(ray_cluster, "probe_files", lambda plan: not_shared)
    with pytest.raises(ExtractError, match=f"does not see the output folder {work.out}"):
        work.run("")


def test_without_a_cluster_or_ray_a_line_says_so(work, monkeypatch):
    import ray

    def fail(*arguments, **options):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ExtractError, match=r"--ray .*: no cluster there .*'ray start --head'"):
        work.run("")
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtractError, match=r"not installed: pip install 'basnet-e2e\[ray\]'"):
        work.run("")


class FakeRay:
    """Machines by their cores and GPUs."""

    def __init__(self, *machines):
        self._machines = machines

    def nodes(self):
        return [
            {"Alive": True, "Resources": {"CPU": float(cpu), "GPU": float(gpu)}}
            for cpu, gpu in self._machines
        ]


@pytest.mark.parametrize(
    ("machines", "jobs", "device", "expected"),
    [
        (((8, 0), (8, 0)), None, "auto", ray_cluster.Slots(2, 8, 0.0)),
        (((8, 0), (8, 0)), 4, "auto", ray_cluster.Slots(4, 4, 0.0)),
        (((8, 0), (4, 0)), 2, "auto", ray_cluster.Slots(2, 4, 0.0)),
        (((16, 2), (16, 2)), None, "auto", ray_cluster.Slots(4, 8, 1.0)),
        (((16, 2), (16, 2)), 8, "cuda", ray_cluster.Slots(8, 4, 0.5)),
        (((16, 2), (16, 2)), None, "cpu", ray_cluster.Slots(2, 16, 0.0)),
        (((2, 0),), 16, "auto", ray_cluster.Slots(16, 1, 0.0)),
    ],
)
def test_slots_fit_the_cluster(machines, jobs, device, expected):
    assert ray_cluster.slots_for(FakeRay(*machines), jobs, device, videos=100) == expected


def test_at_most_one_slot_per_video_and_no_gpu_if_there_is_none():
    assert ray_cluster.slots_for(FakeRay((8, 0), (8, 0)), 8, "auto", videos=1).count == 1
    with pytest.raises(ExtractError, match="the cluster has no GPU"):
        ray_cluster.slots_for(FakeRay((8, 0)), None, "cuda", videos=1)
