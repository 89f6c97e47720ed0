"""The same numbers as scipy's."""

import numpy as np
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from basnet_e2e.heads.common.softmax import softmax

LOGITS = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda kind: arrays(
        kind,
        array_shapes(min_dims=1, max_dims=2, max_side=7),
        elements=st.floats(-1000, 1000, width=32),
    )
)


@given(LOGITS)
def test_equal_to_the_last_bit(logits):
    for axis in range(logits.ndim):
        ours, expected = softmax(logits, axis), scipy.special.softmax(logits, axis=axis)
        assert ours.dtype == logits.dtype
        assert ours.tobytes() == expected.tobytes()
