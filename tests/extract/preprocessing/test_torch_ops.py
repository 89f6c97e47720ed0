"""Resize, grey, colours and crop against OpenCV, torch and the definitions."""

import cv2
import numpy as np
import picture_reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.backbones.registry import BACKBONES
from extract.errors import ExtractError
from extract.preprocessing import torch_ops
from extract.preprocessing.crop import centre_crop
from extract.preprocessing.torch_ops import grey, resize_short_side, resized_size, scale_rgb

SIDES = st.integers(1, 150)


@pytest.fixture(params=["torch", "compiled"])
def engine(request, monkeypatch):
    """What resizes on a CPU at the beginning of a process, and later."""
    plain = float("inf") if request.param == "torch" else 0
    monkeypatch.setattr(torch_ops, "PLAIN_FRAMES", plain)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def resize(frame, side):
    return resize_short_side(torch.from_numpy(frame)[None], side)[0].numpy()


SIZES = [(240, 320), (1080, 1920), (90, 120), (320, 180), (257, 391), (143, 175), (64, 1000)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_resize_equals_opencv_and_torch(engine, height, width):
    frame = noise(height, width)
    ours = resize(frame, 256)
    target = ours.shape[:2]
    plain = frame.astype(np.float32)
    opencv = cv2.resize(plain, target[::-1], interpolation=cv2.INTER_LINEAR)
    tensor = torch.from_numpy(plain).double().permute(2, 0, 1)[None]
    pytorch = torch.nn.functional.interpolate(
        tensor, size=target, mode="bilinear", align_corners=False, antialias=False
    )
    # Rounding to integers is all that may lie between them.
    assert np.abs(ours - opencv).max() <= 0.51
    assert np.abs(ours - pytorch[0].permute(1, 2, 0).numpy()).max() <= 0.51


@settings(max_examples=60)
@given(SIDES, SIDES, st.sampled_from([32, 64, 101]), st.integers(0, 1 << 20))
def test_resize_follows_its_definition_to_the_bit(height, width, side, seed):
    frames = np.stack([noise(height, width, seed + n) for n in range(2)])
    expected = [picture_reference.resize_short_side(frame, side) for frame in frames]
    with pytest.MonkeyPatch.context() as patch:
        for plain in (float("inf"), 0):
            patch.setattr(torch_ops, "PLAIN_FRAMES", plain)
            found = resize_short_side(torch.from_numpy(frames), side)
            assert found.dtype == torch.uint8
            np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1080, 1920), (240, 320), (256, 340)])
def test_so_do_pictures_of_real_sizes(engine, height, width):
    frame = noise(height, width)
    expected = picture_reference.resize_short_side(frame, 256)
    np.testing.assert_array_equal(resize(frame, 256), expected)


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([64, 128, 256]))
def test_short_side_is_exact_and_long_side_rounded(height, width, side):
    new = resized_size(height, width, side)
    assert min(new) == side
    scale = side / min(height, width)
    assert abs(max(new) - max(height, width) * scale) <= 0.5 + 1e-6
    assert (new[0] <= new[1]) == (height <= width) or new[0] == new[1]


@settings(max_examples=30)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
def test_a_flat_picture_stays_flat(height, width, level):
    assert (resize(np.full((height, width, 3), level, np.uint8), 32) == level).all()


def test_resize_leaves_a_frame_of_that_size_alone():
    frame = noise(256, 300)
    assert np.array_equal(resize(frame, 256), frame)


def test_resize_takes_any_memory_order(engine):
    frame = noise(100, 120)
    turned = np.ascontiguousarray(frame.transpose(1, 0, 2)).transpose(1, 0, 2)
    assert np.array_equal(resize(turned, 64), resize(frame, 64))


def test_grey_is_rounded_bt601():
    frame = noise(200, 300)
    found = grey(torch.from_numpy(frame)).numpy()
    exact = frame @ np.array([0.299, 0.587, 0.114])
    assert np.abs(found - exact).max() <= 0.5 + 1e-9
    # OpenCV computes with 15 bits, so it may round the other way at a tie.
    assert np.abs(found.astype(int) - cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)).max() <= 1


def test_grey_of_every_colour_follows_its_definition():
    levels = np.arange(256, dtype=np.uint8)
    for red in levels:
        colours = np.stack(np.meshgrid(red, levels, levels), axis=-1)
        found = grey(torch.from_numpy(colours))
        assert found.dtype == torch.uint8
        np.testing.assert_array_equal(found.numpy(), picture_reference.grey(colours))


@pytest.mark.parametrize("name", ["i3d", "slow_r50"])
def test_colours_are_scaled_by_their_definition(name):
    spec = BACKBONES[name]
    given = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 2, 8, 16, 3)
    found = scale_rgb(torch.from_numpy(given), spec.mean, spec.deviation)
    expected = picture_reference.scale_rgb(spec, given).transpose(0, 4, 1, 2, 3)
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize(("height", "width", "top", "left"), [(256, 341, 16, 58), (225, 224, 0, 0)])
def test_crop_takes_the_middle(height, width, top, left):
    frame = noise(height, width)
    expected = frame[top : top + 224, left : left + 224]
    assert np.array_equal(centre_crop(frame, 224), expected)
    assert np.array_equal(centre_crop(torch.from_numpy(frame), 224).numpy(), expected)
    assert np.array_equal(centre_crop(frame[None], 224)[0], expected)
    fields = frame.transpose(2, 0, 1).astype(np.float32)
    assert np.array_equal(centre_crop(fields, 224), expected.transpose(2, 0, 1))
    assert np.array_equal(centre_crop(fields[0], 224), expected[..., 0])


def test_crop_refuses_a_smaller_frame():
    with pytest.raises(ExtractError, match="100x90"):
        centre_crop(noise(90, 100), 224)
