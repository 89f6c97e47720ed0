"""Stages that overlap: bounded, and ended without a trace whatever fails in whichever of them."""

import itertools
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from standins import (
    SPEC,
    TinyBackbone,
    TinyClip,
    TinyFlow,
    random_pictures,
    stand_in,
    tiny_extractor,
)

from extract.pipeline.scheduler import SPARE_GROUPS

LENGTH = SPEC.length
GROUP = 4  # snippets of a batch of this network
PATIENCE = 600
# With one thread: those that wait, and the one whose features are waited for.
MOST_GROUPS = 1 + SPARE_GROUPS + 1


class BrokenError(Exception):
    pass


@pytest.fixture(autouse=True)
def nothing_is_left():
    outside, before = torch.get_num_threads(), 2
    torch.set_num_threads(before)
    yield
    assert [t for t in threading.enumerate() if t.name.startswith("basnet-")] == []
    assert torch.get_num_threads() == before
    seen = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [before]
    torch.set_num_threads(outside)


@pytest.fixture
def extractor(monkeypatch):
    def make(clip, backbone=None, flow=None, **options):
        stand_in(monkeypatch, flow or TinyFlow(), clip)
        return tiny_extractor(backbone=backbone, **options)

    return make


class BrokenClip(TinyClip):
    def frames(self, fps, first=0):
        for n, item in enumerate(super().frames(fps, first)):
            if n == 100:
                raise BrokenError
            yield item


class BrokenFlow(TinyFlow):
    def compute(self, grey, rgb):
        if self.pairs > 100:
            raise BrokenError
        return super().compute(grey, rgb)


class BrokenNetwork(TinyBackbone):
    def __init__(self, stream):
        super().__init__()
        setattr(self, stream, self._broken)
        self._left = 2

    def _broken(self, clips):
        self._left -= 1
        if not self._left:
            raise BrokenError
        return TinyBackbone.rgb(self, clips)


def broken(*arguments):
    raise BrokenError


PARTS = {
    "reading": {"clip": BrokenClip},
    "flow": {"flow": BrokenFlow},
    "rgb network": {"stream": "rgb"},
    "flow network": {"stream": "flow"},
    "watching": {"how": {"on_open": lambda clip: broken}},
    "progress": {"how": {"on_progress": broken}},
    "features": {"how": {"on_features": broken}},
}


@pytest.mark.parametrize("part", PARTS)
def test_an_error_in_any_stage_ends_all_of_them(extractor, part):
    made = {"clip": TinyClip, "flow": TinyFlow, "stream": None, "how": {}} | PARTS[part]
    stream = made["stream"]
    backbone = BrokenNetwork(stream) if stream else TinyBackbone()
    clip = made["clip"](random_pictures(LENGTH * 40))
    with pytest.raises(BrokenError):
        extractor(clip, backbone, made["flow"]()).extract("tiny.mp4", **made["how"])


def test_an_error_in_resizing_too(extractor, monkeypatch):
    monkeypatch.setattr("extract.pipeline.frame_steps.resize_short_side", broken)
    with pytest.raises(BrokenError):
        extractor(TinyClip(random_pictures(100))).extract("tiny.mp4")


def test_what_comes_before_a_broken_frame_is_heard(extractor):
    heard = []
    with pytest.raises(BrokenError):
        extractor(BrokenClip(random_pictures(200))).extract(
            "tiny.mp4", on_features=lambda start, end, rows: heard.extend(start)
        )
    assert len(heard) == 6  # 96 of the 100 frames, the flow of the last reaching one further


def test_ctrl_c_ends_all_stages(extractor):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extractor(TinyClip(random_pictures(LENGTH * 40))).extract("tiny.mp4", on_progress=stop)


def test_ctrl_c_while_a_frame_is_awaited_ends_all_stages(extractor):
    class Interrupted(TinyClip):
        def frames(self, fps, first=0):
            yield from itertools.islice(super().frames(fps, first), 200)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extractor(Interrupted(random_pictures(LENGTH * 40))).extract("tiny.mp4")


def until(reached):
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


class CountedClip(TinyClip):
    """Knows which of its frames are still held by somebody."""

    def __init__(self, count):
        super().__init__(random_pictures(count))
        self.given = 0
        self.held = weakref.WeakSet()

    def frames(self, fps, first=0):
        class Frame(np.ndarray):
            __hash__ = object.__hash__

        for time_, picture in super().frames(fps, first):
            frame = np.repeat(picture, 1, axis=0).view(Frame)
            self.held.add(frame)
            self.given += 1
            yield time_, frame


def test_reading_is_ahead_of_the_networks_and_no_further_than_some_groups(extractor):
    """The first network waits until frames are read as far as they may be, and a little longer."""
    clip, seen = CountedClip(LENGTH * 200), []
    most = GROUP * LENGTH * MOST_GROUPS + 1  # a field reaches one frame further

    class Slow(TinyBackbone):
        def rgb(self, clips):
            if not seen:
                until(lambda: clip.given >= most)
                time.sleep(0.05)
                seen.append(clip.given)
            return super().rgb(clips)

    extractor(clip, Slow(), threads=1).extract("tiny.mp4")
    assert seen == [most]


@pytest.mark.parametrize("frames", [1000, 4000])
def test_what_is_held_does_not_grow_with_the_video(extractor, monkeypatch, frames):
    clip, most = CountedClip(frames), []
    monkeypatch.setattr("extract.pipeline.frame_steps.resize_short_side", lambda frame, side: frame)

    def look(done, total):
        most.append(len(clip.held))

    extractor(clip, threads=1).extract("tiny.mp4", on_progress=look)
    assert max(most) <= GROUP * LENGTH * (MOST_GROUPS + 1)


class ThreadsBackbone(TinyBackbone):
    """Notes torch's threads where it runs, and how many run at once."""

    def __init__(self, meet=1):
        super().__init__()
        self.threads, self.at_work, self.most = [], 0, 0
        self._meet = meet
        self._lock = threading.Lock()

    def rgb(self, clips):
        with self._lock:
            self.threads.append(torch.get_num_threads())
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        if self._meet > 1 and self.most < self._meet:
            until(lambda: self.most >= self._meet)
        with self._lock:
            self.at_work -= 1
        return super().rgb(clips)


def test_each_thread_of_the_pool_computes_on_one_processor_thread(extractor):
    backbone = ThreadsBackbone(meet=3)
    clip = TinyClip(random_pictures(LENGTH * 60))
    extractor(clip, backbone, threads=3).extract("tiny.mp4")
    assert (set(backbone.threads), backbone.most) == ({1}, 3)


def test_what_needs_all_threads_has_one_task_at_a_time_with_all_of_them(extractor):
    backbone = ThreadsBackbone()
    backbone.spec = replace(backbone.spec, single_thread_per_clip=False)
    clip = TinyClip(random_pictures(LENGTH * 60))
    extractor(clip, backbone, threads=3).extract("tiny.mp4")
    assert (set(backbone.threads), backbone.most) == ({3}, 1)


def test_the_width_of_the_pool_changes_on_the_way(extractor):
    backbone = ThreadsBackbone()
    made = extractor(TinyClip(random_pictures(LENGTH * 100)), backbone, threads=1)
    alone = []

    def more(done, total):
        if done == GROUP * 4:
            alone.append(backbone.most)
            backbone._meet = 2
            made.use_threads(2)

    made.extract("tiny.mp4", on_progress=more)
    assert (alone, backbone.most, set(backbone.threads)) == ([1], 2, {1})
