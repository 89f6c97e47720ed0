"""The way over tensors against the way over arrays, step by step, on the processor."""

import dataclasses

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

import extract
from extract.flow.registry import flow_method
from extract.inference.backbone import load_backbone
from extract.pipeline.device_steps import DeviceSteps
from extract.pipeline.frame_steps import ArraySteps
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
    return ArraySteps(backbone, flow, "uint8"), DeviceSteps(backbone, flow, "uint8")


def check_steps(frames, backbone, flow):
    """All steps of one snippet."""
    arrays, tensors = both(backbone, flow)
    pictures = [arrays.pictures(frames), tensors.pictures(frames)]
    for one, other in zip(*pictures, strict=True):
        np.testing.assert_array_equal(other.numpy(), one)
    fields = [work.fields(made) for work, made in zip((arrays, tensors), pictures, strict=True)]
    assert np.hypot(*(fields[1].numpy() - fields[0]).swapaxes(0, 1)).mean() <= 0.02
    assert np.abs(fields[0]).mean() > 0.05
    rows = [list(range(LENGTH))]
    for step, made in (("rgb", pictures), ("flow", fields)):
        found = [
            getattr(work, step)(dict(enumerate(items)), rows)()
            for work, items in zip((arrays, tensors), made, strict=True)
        ]
        assert found[1].dtype == np.float32
        assert np.abs(found[1] - found[0]).max() <= 1e-3 * np.abs(found[0]).max()


def test_pictures_are_equal_and_flow_and_features_agree():
    flow = flow_method("tvl1", device="cpu", overrides=SHORT)
    check_steps(waves(), load_backbone("i3d-mini", device="cpu"), flow)


def test_they_do_on_real_video(shared_data):
    backbone = load_backbone("i3d-mini", device="cpu")
    flow = flow_method("tvl1", device="cpu", overrides=backbone.spec.flow_overrides)
    with open_video(shared_data / "clips" / "archery.avi") as clip:
        frames = [frame for n, (_, frame) in enumerate(clip.frames()) if 40 <= n < 57]
    check_steps(frames, backbone, flow)


def test_a_librarys_own_pictures_are_what_it_makes_of_them():
    size = Resize((12, 9), antialias=True)
    backbone = TinyBackbone()
    backbone.spec = dataclasses.replace(SPEC, resize=size, crop=5)
    made = [list(work.pictures(waves(3))) for work in both(backbone, None)]
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(other.numpy(), one)
    found = [
        work.rgb(dict(enumerate(pictures)), [[0, 1, 2, 2] * 4])()
        for work, pictures in zip(both(backbone, None), made, strict=True)
    ]
    np.testing.assert_array_equal(*found)


def test_flow_that_is_no_number_is_an_error(monkeypatch):
    class Broken(TinyFlow):
        def compute(self, grey, rgb):
            return super().compute(grey, rgb) * np.float32("nan")

    for tensors in (False, True):
        stand_in(monkeypatch, Broken(), TinyClip(random_pictures(40)))
        extractor = tiny_extractor(tensors=tensors)
        with pytest.raises(extract.ExtractError, match="flow holds NaN"):
            extractor.extract("tiny.mp4")


def test_a_whole_video_gives_the_same_features(make_video, numbered):
    """By the real networks; what the file says of itself does not depend on the way."""
    from fractions import Fraction

    video = make_video("a.mp4", range(45), Fraction(1, 25)).path
    found = []
    for tensors in (False, True):
        extractor = extract.Extractor(
            extract.ExtractSettings("i3d-mini"),
            device="cpu",
            decoding=extract.DecodeOptions(stall=None),
            tensors=tensors,
        )
        found.append(extractor.extract(video))
    arrays, tensors = found
    assert tensors.meta == arrays.meta
    for stream in ("rgb", "flow"):
        one, other = getattr(arrays, stream), getattr(tensors, stream)
        assert np.abs(other - one).max() <= 1e-3 * np.abs(one).max()
