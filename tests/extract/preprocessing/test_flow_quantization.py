"""Flow to network input, by known values and by the definition."""

import numpy as np
import picture_reference
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from extract import ExtractError
from extract.preprocessing.flow_quantization import MODES, quantize_flow


def quantized(flow, mode="uint8"):
    return quantize_flow(torch.tensor(np.asarray(flow, np.float32)), mode).numpy()


def test_levels_of_known_motions():
    motion = [-25, -20, 0, 0.2, 20, 21]
    # (v + 20) * 6.375 rounded: 0, 0, 127.5 -> 128, 128.775 -> 129, 255, 255.
    expected = 2 * np.array([0, 0, 128, 129, 255, 255]) / 255 - 1
    np.testing.assert_allclose(quantized(motion), expected, atol=1e-6)


def test_without_levels_it_only_clips_and_scales():
    np.testing.assert_array_equal(
        quantized([-30, -5, 0, 10], "none"), np.float32([-1, -0.25, 0, 0.5])
    )


@given(arrays(np.float32, (3, 4), elements=st.floats(-20, 20, width=32)))
def test_it_stays_within_half_a_level_and_in_range(flow):
    result = quantized(flow)
    assert result.dtype == np.float32
    assert np.abs(result).max() <= 1
    assert np.abs(result - flow / 20).max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize("mode", MODES)
def test_it_follows_its_definition_at_every_edge_and_the_field_stays(mode):
    edges = (np.arange(-260, 261, dtype=np.float32) + np.float32(0.5)) * np.float32(40 / 255)
    given = np.concatenate([edges, np.nextafter(edges, np.float32(99)), np.float32([-25, 0, 25])])
    tensor = torch.from_numpy(given.copy())
    found = quantize_flow(tensor, mode)
    np.testing.assert_array_equal(found.numpy(), picture_reference.quantize_flow(given, mode))
    np.testing.assert_array_equal(tensor.numpy(), given)


def test_an_unknown_mode_is_an_error_and_nan_is_not_hidden():
    with pytest.raises(ExtractError, match="uint8, none"):
        quantized([0.0], "jpeg")
    assert np.isnan(quantized([np.nan, 1.0])).tolist() == [True, False]
