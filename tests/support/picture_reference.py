"""What is done to pictures and flow, in numpy, as the definitions read: slow and plain."""

import numpy as np

from extract.preprocessing.torch_ops import resized_size

F = np.float32


def taps(source, target):
    position = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
    first = np.floor(position).astype(int)
    return first, np.minimum(first + 1, source - 1), (position - first).astype(F)


def between(first, second, share):
    return first + share * (second - first)


def resize_short_side(frame, side):
    """``[H, W, 3] uint8``: along the rows, then down, each step in float32."""
    height, width = frame.shape[:2]
    size = resized_size(height, width, side)
    if size == (height, width):
        return frame
    above, below, down = taps(height, size[0])
    left, right, across = taps(width, size[1])
    values = frame.astype(F)
    mixed = between(values[:, left], values[:, right], across[:, None])
    return np.rint(between(mixed[above], mixed[below], down[:, None, None])).astype(np.uint8)


def resized(spec, frame):
    """A decoded frame in the size that a backbone's crops are taken from."""
    if spec.resize is None:
        return resize_short_side(frame, spec.frame_side)
    return spec.resize.of(frame)


def grey(frame):
    """``[..., 3] uint8 -> [...] uint8``."""
    return ((frame.astype(int) @ [299, 587, 114] + 500) // 1000).astype(np.uint8)


def scale_rgb(spec, pictures):
    """``[..., 3] uint8`` to a backbone's colours, float32."""
    deviation = np.array(spec.deviation)
    scale, shift = (1 / (255 * deviation)).astype(F), (np.array(spec.mean) / deviation).astype(F)
    return pictures * scale - shift


def quantize_flow(flow, mode="uint8"):
    """Pixels per frame to [-1, 1] float32."""
    values = np.clip(np.asarray(flow, F), -20, 20)
    if mode == "none":
        return values / F(20)
    return np.rint((values + F(20)) * F(255 / 40)) * F(2 / 255) - F(1)
