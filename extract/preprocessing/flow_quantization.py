"""Flow to network input: clip, map to 256 levels, scale, as the flow network was trained."""

from torch import Tensor

from extract.errors import ExtractError

BOUND = 20.0
"""Motion is clipped to this many pixels per frame in each direction (DeepMind's I3D)."""
LEVELS = 255
MODES = ("uint8", "none")


def quantize_flow(flow: Tensor, mode: str = "uint8") -> Tensor:
    """Flow in pixels per frame, any shape, to float32 in [-1, 1] of the same shape.

    ``uint8`` rounds ``(clip(v) + 20) * 255 / 40`` to a whole level q (halves to the even one) and
    gives ``2 q / 255 - 1``: a step of 0.157 pixels, no motion gives 1/255. This matches the
    training of the published networks, whose flow was stored in 8 bits. ``none`` gives
    ``clip(v) / 20``. NaN stays NaN. Each step is rounded by itself, so that all devices agree.

    Raises:
        ExtractError: an unknown mode.
    """
    if mode not in MODES:
        raise ExtractError(f"unknown quantizer {mode!r}; choose one of {', '.join(MODES)}")
    values = flow.clamp(-BOUND, BOUND)
    if mode == "none":
        # By a tensor: a GPU turns division by a number into a product with its reciprocal.
        return values.div_(values.new_full((), BOUND))
    return values.add_(BOUND).mul_(LEVELS / (2 * BOUND)).round_().mul_(2 / LEVELS).sub_(1)
