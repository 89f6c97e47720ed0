"""Softmax, without the second that importing scipy's takes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def softmax(logits: ArrayLike, axis: int = -1) -> NDArray[Any]:
    """Exponentials along an axis as shares of their sum, in the precision of ``logits``."""
    found = np.asarray(logits)
    shares = np.exp(found - found.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)
