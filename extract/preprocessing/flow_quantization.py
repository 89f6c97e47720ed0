"""Flow to network input: clip, map to 256 levels, scale, as the published flow network saw it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.errors import ExtractError

BOUND = 20.0
"""Motion is clipped to this many pixels per frame in each direction (DeepMind's I3D)."""
LEVELS = 255
MODES = ("uint8", "none")


def quantize_flow(flow: ArrayLike, mode: str = "uint8") -> NDArray[np.float32]:
    """Flow in pixels per frame, any shape, to float32 in [-1, 1] of the same shape.

    ``uint8`` rounds ``(clip(v) + 20) * 255 / 40`` to a whole level q (halves to the even one) and
    gives ``2 q / 255 - 1``: a step of 0.157 pixels, no motion gives 1/255. This matches the
    training of the published networks, whose flow was stored in 8 bits. ``none`` gives
    ``clip(v) / 20``.

    Raises:
        ExtractError: an unknown mode, or a value that is not a number.
    """
    if mode not in MODES:
        raise ExtractError(f"unknown quantiser {mode!r}; choose one of {', '.join(MODES)}")
    values = np.clip(np.asarray(flow, dtype=np.float32), -BOUND, BOUND)
    if np.isnan(values).any():
        raise ExtractError("optical flow holds NaN, nothing can be computed from it")
    if mode == "none":
        return values / np.float32(BOUND)
    levels = np.rint((values + np.float32(BOUND)) * np.float32(LEVELS / (2 * BOUND)))
    return levels * np.float32(2 / LEVELS) - np.float32(1)
