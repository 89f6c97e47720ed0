"""Resize, grey and crop against OpenCV, torch and the definitions."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import ExtractError
from extract.preprocessing import numpy_ops
from extract.preprocessing.numpy_ops import centre_crop, grey, resize_short_side, resized_size


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


SIZES = [(240, 320), (1080, 1920), (90, 120), (320, 180), (257, 391), (143, 175), (64, 1000)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_resize_equals_opencv_and_torch(height, width):
    frame = noise(height, width)
    ours = resize_short_side(frame, 256)
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


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([32, 64, 101]),
    st.integers(0, 1 << 20),
)
def test_a_process_s_first_frames_are_resized_as_its_later_ones(height, width, side, seed):
    frame = noise(height, width, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_ops, "PLAIN_FRAMES", float("inf"))
        plain = resize_short_side(frame, side)
        patch.setattr(numpy_ops, "PLAIN_FRAMES", 0)
        assert np.array_equal(resize_short_side(frame, side), plain)


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
    frame = np.full((height, width, 3), level, np.uint8)
    assert (resize_short_side(frame, 32) == level).all()


def test_resize_leaves_a_frame_of_that_size_alone():
    frame = noise(256, 300)
    assert np.array_equal(resize_short_side(frame, 256), frame)


def test_resize_takes_any_memory_order():
    frame = noise(100, 120)
    turned = np.ascontiguousarray(frame.transpose(1, 0, 2)).transpose(1, 0, 2)
    frozen = frame.copy()
    frozen.setflags(write=False)
    assert np.array_equal(resize_short_side(turned, 64), resize_short_side(frame, 64))
    assert np.array_equal(resize_short_side(frozen, 64), resize_short_side(frame, 64))


def test_grey_is_rounded_bt601():
    frame = noise(200, 300)
    exact = frame @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(frame) - exact).max() <= 0.5 + 1e-9
    # OpenCV computes with 15 bits, so it may round the other way at a tie.
    assert np.abs(grey(frame).astype(int) - cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)).max() <= 1
    assert grey(np.full((1, 1, 3), 255, np.uint8)).tolist() == [[255]]


@pytest.mark.parametrize(("height", "width", "top", "left"), [(256, 341, 16, 58), (225, 224, 0, 0)])
def test_crop_takes_the_middle(height, width, top, left):
    frame = noise(height, width)
    expected = frame[top : top + 224, left : left + 224]
    assert np.array_equal(centre_crop(frame, 224), expected)
    assert np.array_equal(centre_crop(frame[None], 224)[0], expected)
    fields = frame.transpose(2, 0, 1).astype(np.float32)
    assert np.array_equal(centre_crop(fields, 224), expected.transpose(2, 0, 1))
    assert np.array_equal(centre_crop(fields[0], 224), expected[..., 0])


def test_crop_refuses_a_smaller_frame():
    with pytest.raises(ExtractError, match="100x90"):
        centre_crop(noise(90, 100), 224)
