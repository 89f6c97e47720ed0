"""The steps of a GPU against those of the processor, both on the processor."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from standins import (
    RECORD,
    PlainCopies,
    TinyBackbone,
    TinyClip,
    TinyFlow,
    like_a_gpu,
    random_pictures,
    stand_in,
    tiny_extractor,
)

import extract
from extract.flow.registry import flow_method
from extract.inference.backbone import load_backbone
from extract.pipeline.frame_steps import FrameSteps
from extract.pipeline.transfer import Transfer
from extract.preprocessing.torchvision_resize import Resize
from extract.video.clip import open_video

LENGTH = 16
SHORT = {"scales": 3, "warps": 2, "iterations": 10, "finest_iterations": 6}


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of torch wait busily for each other where CPUs are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def waves(count=LENGTH + 1, height=90, width=120):
    """A pattern that moves and turns bright, in colours that differ."""
    y, x = np.mgrid[:height, :width]
    frames = [
        np.stack(
            [
                127 + 70 * np.sin(0.31 * (x - n) + 0.1 * y) + 50 * np.cos(0.23 * y + c + 0.2 * n)
                for c in range(3)
            ],
            axis=-1,
        )
        for n in range(count)
    ]
    return [frame.clip(0, 255).astype(np.uint8) for frame in frames]


def both(backbone, flow):
    return (
        FrameSteps(backbone, flow, "uint8"),
        FrameSteps(backbone, flow, "uint8", Transfer(PlainCopies())),
    )


def check_steps(frames, backbone, flow):
    """All steps of one snippet."""
    steps = both(backbone, flow)
    pictures = [each.pictures(frames) for each in steps]
    for one, other in zip(*pictures, strict=True):
        assert torch.equal(one, other)
    fields = [each.fields(made) for each, made in zip(steps, pictures, strict=True)]
    assert np.hypot(*(fields[1] - fields[0]).numpy().swapaxes(0, 1)).mean() <= 0.02
    assert fields[0].abs().mean() > 0.05
    rows = [list(range(LENGTH))]
    for step, made in (("rgb", pictures), ("flow", fields)):
        found = [
            getattr(each, step)(dict(enumerate(items)), rows)()
            for each, items in zip(steps, made, strict=True)
        ]
        assert found[1].dtype == np.float32
        assert np.abs(found[1] - found[0]).max() <= 1e-3 * np.abs(found[0]).max()


def test_pictures_are_equal_and_flow_and_features_agree():
    flow = flow_method("tvl1", device="cpu", overrides=SHORT)
    check_steps(waves(), load_backbone("i3d-mini", device="cpu"), flow)


def test_they_do_on_real_video(shared_data):
    backbone = load_backbone("i3d-mini", device="cpu")
    flow = flow_method("tvl1", device="cpu", overrides=backbone.record.flow_overrides)
    with open_video(shared_data / "clips" / "archery.avi") as clip:
        frames = [frame for n, (_, frame) in enumerate(clip.frames()) if 40 <= n < 57]
    check_steps(frames, backbone, flow)


def test_a_librarys_own_pictures_are_what_it_makes_of_them():
    size = Resize((12, 9), antialias=True)
    backbone = TinyBackbone()
    backbone.record = dataclasses.replace(RECORD, resize=size, crop=5)
    made = [list(each.pictures(waves(3))) for each in both(backbone, None)]
    for one, other, frame in zip(*made, waves(3), strict=True):
        np.testing.assert_array_equal(one.numpy(), size.of(frame))
        assert torch.equal(one, other)


def test_flow_that_is_no_number_is_an_error(monkeypatch):
    class Broken(TinyFlow):
        def compute(self, grey, rgb):
            return super().compute(grey, rgb) * np.float32("nan")

    backbone = TinyBackbone()
    for each in (backbone, like_a_gpu(monkeypatch, TinyBackbone())):
        stand_in(monkeypatch, Broken(), TinyClip(random_pictures(40)))
        extractor = tiny_extractor(backbone=each)
        with pytest.raises(extract.ExtractError, match="flow holds NaN"):
            extractor.extract("tiny.mp4")


def test_a_whole_video_gives_the_same_features(make_video, monkeypatch):
    """By the real networks; what the file says of itself does not depend on the way."""
    from fractions import Fraction

    video = make_video("a.mp4", range(45), Fraction(1, 25)).path
    found = []
    for change in (lambda backbone: backbone, functools.partial(like_a_gpu, monkeypatch)):
        backbone = change(load_backbone("i3d-mini", device="cpu"))
        extractor = tiny_extractor(extract.ExtractSettings("i3d-mini"), backbone, device="cpu")
        found.append(extractor.extract(video))
    plain, device = found
    assert device.meta == plain.meta
    for stream in ("rgb", "flow"):
        one, other = getattr(plain, stream), getattr(device, stream)
        assert np.abs(other - one).max() <= 1e-3 * np.abs(one).max()
