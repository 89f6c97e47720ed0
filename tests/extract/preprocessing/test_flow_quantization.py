import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from extract import ExtractError
from extract.preprocessing.flow_quantization import check_mode, quantize_flow


def test_levels_of_known_motions():
    motion = np.array([-25, -20, 0, 0.2, 20, 21], np.float32)
    # (v + 20) * 6.375 rounded: 0, 0, 127.5 -> 128, 128.775 -> 129, 255, 255.
    expected = 2 * np.array([0, 0, 128, 129, 255, 255]) / 255 - 1
    np.testing.assert_allclose(quantize_flow(torch.from_numpy(motion)), expected, atol=1e-6)


def test_without_levels_it_only_clips_and_scales():
    np.testing.assert_array_equal(
        quantize_flow(torch.tensor([-30.0, -5, 0, 10]), "none"), np.float32([-1, -0.25, 0, 0.5])
    )


@given(arrays(np.float32, (3, 4), elements=st.floats(-20, 20, width=32)))
def test_it_stays_within_half_a_level_and_in_range(flow):
    result = quantize_flow(torch.from_numpy(flow)).numpy()
    assert result.dtype == np.float32
    assert np.abs(result).max() <= 1
    assert np.abs(result - flow / 20).max() <= 1 / 255 + 1e-6


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ExtractError, match="uint8, none"):
        check_mode("jpeg")
