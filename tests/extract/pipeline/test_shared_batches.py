"""Batches that videos share: full where they can be, right in any case."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import TinyBackbone, TinyClip, TinyFlow, random_pictures, stand_in_flow

import extract
from extract.features.feature_file import Features, feature_path
from extract.jobs.run import make_plan, run_plan
from extract.pipeline.shared_batches import GPU_BATCH, SharedBatches
from extract.sources.find import VideoInput

SIZE = 4


class Network:
    """Gives each clip back; keeps how many it was given at a time."""

    def __init__(self, broken=()):
        self.counts = []
        self._broken = broken

    def __call__(self, clips):
        self.counts.append(len(clips))
        if len(self.counts) - 1 in self._broken:
            raise ZeroDivisionError
        return clips.numpy


@given(st.lists(st.tuples(st.integers(1, 11), st.booleans()), max_size=12))
@settings(max_examples=200, deadline=None)
def test_each_gets_its_own_and_no_batch_is_run_before_it_must(groups):
    network = Network()
    batches = SharedBatches(network, SIZE)
    kept, clips = [], 0
    for count, ask in groups:
        given_ = torch.arange(clips, clips + count).float()[:, None]
        rows = batches.add(given_)
        clips += count
        if ask:
            np.testing.assert_array_equal(rows(), given_.numpy())
            assert rows.ready()
        kept.append((rows, given_))
    for rows, given_ in kept:
        np.testing.assert_array_equal(rows(), given_.numpy())
    assert sum(network.counts) == clips
    assert max(network.counts, default=0) <= SIZE
    if not any(ask for _, ask in groups):
        assert all(count == SIZE for count in network.counts[:-1])


def test_ready_is_what_needs_no_others():
    batches = SharedBatches(Network(), SIZE)
    first = batches.add(torch.zeros(3, 1))
    assert not first.ready()
    second = batches.add(torch.zeros(2, 1))
    assert first.ready()
    assert not second.ready()


def test_a_batch_that_fails_fails_for_all_in_it_and_for_no_other():
    batches = SharedBatches(Network(broken={0}), SIZE)
    first, second = batches.add(torch.zeros(3, 1)), batches.add(torch.ones(2, 1))
    third = batches.add(torch.ones(3, 1))
    for rows in (first, second):
        with pytest.raises(ZeroDivisionError):
            rows()
    np.testing.assert_array_equal(third(), np.ones((3, 1)))


class CountingBackbone(TinyBackbone):
    """Keeps how many clips its networks are given at a time."""

    def __init__(self):
        super().__init__()
        self.counts = {"rgb": [], "flow": []}

    def rgb(self, clips):
        self.counts["rgb"].append(len(clips))
        return super().rgb(clips)

    def flow(self, clips):
        self.counts["flow"].append(len(clips))
        return super().rgb(clips)


class Video(TinyClip):
    def __init__(self, path, frames):
        super().__init__(random_pictures(frames))
        self.path = str(path)


@pytest.fixture
def folder_of(tmp_path, monkeypatch):
    """Videos of so many frames each, and an extractor that finds them."""
    stand_in_flow(monkeypatch, TinyFlow())

    def make(*frames, tensors=True):
        inputs, clips = [], {}
        for n, count in enumerate(frames):
            path = tmp_path / f"{n}.mp4"
            path.write_bytes(bytes([n]))
            inputs.append(VideoInput(str(n), path))
            clips[path] = Video(path, count or 40)
            if count is None:
                clips[path].frames = broken
        opened = lambda self, path, *how: clips[path]  # noqa: E731
        monkeypatch.setattr(extract.pipeline.extractor.Extractor, "_open", opened)
        backbone = CountingBackbone()
        chosen = extract.ExtractSettings()
        return inputs, extract.Extractor(chosen, backbone=backbone, tensors=tensors), backbone

    return make


def broken(fps, first=0):
    raise extract.VideoError("cut off")
    yield


# Snippets of 16 frames: 5, 30, none, 1 and 12.
FRAMES = (5 * 16, 30 * 16, None, 16, 12 * 16)


def test_videos_of_a_folder_fill_batches_together(folder_of, tmp_path):
    alone, events = {}, []
    inputs, extractor, backbone = folder_of(*FRAMES)
    for video, frames in zip(inputs, FRAMES, strict=True):
        if frames:
            alone[video.id] = extractor.extract(video.path)
    for counts in backbone.counts.values():
        counts.clear()
    plan = make_plan(inputs, tmp_path / "out", extractor.settings)
    summary = run_plan(plan, extractor, listener=lambda e: events.append((e.kind, e.video.id)))
    assert backbone.counts == {stream: [GPU_BATCH] * 3 for stream in ("rgb", "flow")}
    assert sorted(summary.done) == ["0", "1", "3", "4"]
    assert list(summary.failed) == ["2"]
    for video_id, features in alone.items():
        kept = Features.load(feature_path(plan.folder, video_id))
        np.testing.assert_array_equal(kept.rgb, features.rgb)
        np.testing.assert_array_equal(kept.flow, features.flow)
    # The first is done as soon as the second one's first snippets are.
    assert events.index(("done", "0")) < events.index(("done", "1"))
    assert [kind for kind, _ in events].count("start") == len(FRAMES)
    assert not list(plan.folder.rglob(".unfinished*"))


def test_on_arrays_each_is_done_before_the_next_begins(folder_of, tmp_path):
    inputs, extractor, _ = folder_of(*FRAMES, tensors=False)
    events = []
    plan = make_plan(inputs, tmp_path / "out", extractor.settings)
    run_plan(plan, extractor, listener=lambda e: events.append((e.kind, e.video.id)))
    ends = [event for event in events if event[0] != "progress"]
    expected = []
    for n, frames in enumerate(FRAMES):
        expected += [("start", str(n)), ("done" if frames else "failed", str(n))]
    assert ends == expected


def test_what_waits_is_let_go_where_a_run_is_ended(folder_of, tmp_path):
    inputs, extractor, _ = folder_of(5 * 16, 5 * 16)

    def stop(event):
        if event.kind == "start" and event.video.id == "1":
            raise KeyboardInterrupt

    plan = make_plan(inputs, tmp_path / "out", extractor.settings)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, extractor, listener=stop)
    again = make_plan(inputs, tmp_path / "out", extractor.settings)
    assert len(again.todo) == 2
    assert sorted(run_plan(again, extractor).done) == ["0", "1"]
