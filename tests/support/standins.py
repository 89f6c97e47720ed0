"""A backbone, a flow method and a clip so small that a test can go through hundreds of videos."""

import dataclasses
import threading

import numpy as np
import torch

import extract
from extract.backbones.registry import BACKBONES

SIDE = 4
SPEC = dataclasses.replace(
    BACKBONES["i3d-mini"], name="tiny", frame_side=SIDE, crop=SIDE, dimension=16 * SIDE * SIDE
)


class TinyBackbone:
    """Its feature of a clip is every value of the clip: nothing can be mixed up unnoticed."""

    spec = SPEC
    device, runtime = "cpu", "test cpu"
    precision = "float32"

    def __init__(self, streams=("rgb", "flow")):
        self.streams = streams

    def weights_hashes(self, streams=None):
        return dict.fromkeys(self.streams, "aa")

    def load(self, streams):
        pass

    def rgb(self, clips):
        return clips.flatten(1)

    flow = rgb


class TinyFlow:
    """A number of the two frames instead of their motion; each pair is counted."""

    name = engine = "tiny"
    single_thread_per_pair = True

    def __init__(self):
        self.pairs = 0
        self._counting = threading.Lock()

    def settings(self):
        return {"method": self.name}

    def compute(self, grey, rgb):
        with self._counting:
            self.pairs += len(grey) - 1
        before, after = grey[:-1].astype(np.float32), grey[1:].astype(np.float32)
        return np.stack([(before - after) / 20, (before + 2 * after) / 50], axis=1)

    def compute_on_device(self, grey, rgb):
        return torch.from_numpy(self.compute(grey.numpy(), rgb.numpy()))


class TinyClip:
    """Pictures in memory, given out as a video gives its frames."""

    path, size, fps, decoder, partial = "tiny.mp4", (SIDE + 2, SIDE), 25.0, "test", None

    def __init__(self, pictures):
        self.pictures = pictures
        self.duration = len(pictures) / 25

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def frame_count(self, fps):
        return len(self.pictures)

    def frames(self, fps, first=0):
        rest = self.pictures[first:]
        return ((n / 25, picture) for n, picture in enumerate(rest, start=first))


def random_pictures(count):
    shape = (count, SIDE, SIDE + 2, 3)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


def stand_in_flow(monkeypatch, flow):
    """Let an extractor find the flow method whatever it asks for."""
    import extract.flow.registry

    monkeypatch.setattr(extract.flow.registry, "flow_method", lambda *args, **options: flow)


def stand_in(monkeypatch, flow, clip):
    """The same for ``tiny_extractor``, and the clip."""
    import extract.pipeline.extractor
    import extract.video.clip

    stand_in_flow(monkeypatch, flow)
    monkeypatch.setattr(extract.video.clip, "open_video", lambda *args, **options: clip)
    monkeypatch.setattr(extract.pipeline.extractor, "fingerprint", lambda path: "bb")


def tiny_extractor(settings=None, backbone=None, **options):
    """An extractor that decodes in this process."""
    return extract.Extractor(
        settings or extract.ExtractSettings(),
        backbone=backbone or TinyBackbone(),
        decoding=extract.DecodeOptions(stall=None),
        **options,
    )
