"""The steps from frames to features, each against its definition."""

import dataclasses

import numpy as np
import picture_reference
import pytest
import torch
from standins import (
    SIDE,
    SPEC,
    TinyBackbone,
    TinyClip,
    TinyFlow,
    random_pictures,
    stand_in,
    tiny_extractor,
)

import extract
from extract.pipeline.frame_steps import FrameSteps
from extract.preprocessing.crop import centre_crop
from extract.preprocessing.torchvision_resize import Resize

WANTED = [[0, 1, 2, 2] * 4]


def test_pictures_flow_and_colours_are_those_of_the_definitions():
    frames, flow = list(random_pictures(3)), TinyFlow()
    steps = FrameSteps(TinyBackbone(), flow, "uint8")
    pictures = steps.pictures(frames)
    expected = [picture_reference.resize_short_side(frame, SIDE) for frame in frames]
    np.testing.assert_array_equal(np.stack(pictures), expected)
    cropped = np.stack([centre_crop(expected[n], SIDE) for n in WANTED[0]])
    found = steps.rgb(dict(enumerate(pictures)), WANTED)()
    colours = picture_reference.scale_rgb(SPEC, cropped).transpose(3, 0, 1, 2)
    np.testing.assert_array_equal(found[0], colours.reshape(-1))
    fields = steps.fields(pictures)
    motion = flow.compute(np.stack([picture_reference.grey(each) for each in expected]), None)
    np.testing.assert_array_equal(fields, centre_crop(motion, SIDE))
    rows = [[0, 1, 1, 0] * 4]
    found = steps.flow(dict(enumerate(fields)), rows)()
    clip = centre_crop(motion, SIDE)[rows[0]].transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(found[0], picture_reference.quantize_flow(clip).reshape(-1))


def test_a_librarys_own_pictures_are_what_it_makes_of_them():
    size = Resize((12, 9), antialias=True)
    backbone = TinyBackbone()
    backbone.spec = dataclasses.replace(SPEC, resize=size, crop=5)
    steps, frames = FrameSteps(backbone, None, "uint8"), list(random_pictures(3))
    pictures = steps.pictures(frames)
    expected = [size.of(frame) for frame in frames]
    np.testing.assert_array_equal(np.stack(pictures), expected)
    crops = np.stack([backbone.spec.cropped(expected[n]) for n in WANTED[0]])
    colours = picture_reference.scale_rgb(backbone.spec, crops).transpose(3, 0, 1, 2)
    found = steps.rgb(dict(enumerate(pictures)), WANTED)()
    np.testing.assert_array_equal(found[0], colours.reshape(-1))


def test_a_video_of_one_frame_has_no_motion():
    steps = FrameSteps(TinyBackbone(), TinyFlow(), "uint8")
    still = torch.full((16 * 2 * SIDE * SIDE,), 1 / 255).numpy()
    np.testing.assert_allclose(steps.flow({}, [[]])()[0], still, atol=1e-6)


def test_flow_that_is_no_number_is_an_error(monkeypatch):
    class Broken(TinyFlow):
        def compute(self, grey, rgb):
            return super().compute(grey, rgb) * np.float32("nan")

    stand_in(monkeypatch, Broken(), TinyClip(random_pictures(40)))
    with pytest.raises(extract.ExtractError, match="flow holds NaN"):
        tiny_extractor().extract("tiny.mp4")
