"""Pictures and flow on tensors against the numpy definitions, value by value."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.backbones.registry import BACKBONES
from extract.preprocessing import flow_quantization, numpy_ops, torch_ops

SIDES = st.integers(1, 70)


def frames(seed, height, width, count=2):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@given(st.integers(0, 99), SIDES, SIDES, st.integers(1, 70))
@settings(max_examples=100, deadline=None)
def test_resized_pictures_are_equal(seed, height, width, side):
    given = frames(seed, height, width)
    found = torch_ops.resize_short_side(torch.from_numpy(given), side)
    expected = np.stack([numpy_ops.resize_short_side(frame, side) for frame in given])
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == torch.uint8


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1080, 1920), (240, 320), (256, 340)])
def test_resized_pictures_of_real_sizes_are_equal(height, width):
    given = frames(height, height, width, count=1)
    found = torch_ops.resize_short_side(torch.from_numpy(given), 256)
    expected = numpy_ops.resize_short_side(given[0], 256)
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_grey_is_equal_for_every_colour_of_a_fine_grid():
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, len(levels), 3)
    found = torch_ops.grey(torch.from_numpy(colours))
    np.testing.assert_array_equal(found[0].numpy(), numpy_ops.grey(colours[0]))
    assert found.dtype == torch.uint8


@pytest.mark.parametrize("name", ["i3d", "slow_r50"])
def test_scaled_colours_are_equal(name):
    spec = BACKBONES[name]
    given = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 2, 8, 16, 3)
    found = torch_ops.scale_rgb(torch.from_numpy(given), spec.mean, spec.deviation)
    expected = spec.scale_rgb(given).transpose(0, 4, 1, 2, 3)
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("mode", flow_quantization.MODES)
def test_quantised_flow_is_equal_and_the_given_field_stays(mode):
    edges = (np.arange(-260, 261, dtype=np.float32) + np.float32(0.5)) * np.float32(40 / 255)
    given = np.concatenate([edges, np.nextafter(edges, np.float32(99)), np.float32([-25, 0, 25])])
    tensor = torch.from_numpy(given.copy())
    found = torch_ops.quantize_flow(tensor, mode)
    np.testing.assert_array_equal(found.numpy(), flow_quantization.quantize_flow(given, mode))
    np.testing.assert_array_equal(tensor.numpy(), given)


def test_a_flow_that_is_no_number_is_not_hidden():
    found = torch_ops.quantize_flow(torch.tensor([float("nan"), 1.0]), "uint8")
    assert found.isnan().tolist() == [True, False]
