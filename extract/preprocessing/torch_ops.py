"""Preprocessing of decoded frames: resize, grey, colour scale.

These are the definitions of published I3D features (short side 256, bilinear), pinned down to the
pixel so that features do not depend on a library's version. Values are equal on all devices, since
each operation is rounded by itself. Tables are made on the device: only frames are copied to it.
"""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PLAIN_FRAMES = 64
"""Frames that a process resizes before it starts numba: one group of snippets on a CPU."""

Taps = tuple[Tensor, Tensor, Tensor]
"""The two source positions around each target position, and the weight of the second."""

_resized = itertools.count()


def resized_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width for a short side of ``side`` pixels; the long side is rounded."""
    short, long = min(height, width), max(height, width)
    other = (2 * long * side + short) // (2 * short)
    return (side, other) if height <= width else (other, side)


def resize_short_side(frames: Tensor, side: int) -> Tensor:
    """Resize frames to a short side of ``side`` pixels; small frames are enlarged.

    Bilinear, sampled at pixel centres (``x = (i + 0.5) * scale - 0.5``, clamped at the border),
    without antialiasing, rounded to the nearest integer.

    Args:
        frames: ``[N, H, W, 3] uint8``.
        side: pixels of the short side afterwards.

    Returns:
        ``[N, H', W', 3] uint8``; the frames themselves if they already have that size.
    """
    height, width = frames.shape[1:3]
    size = resized_size(height, width, side)
    if size == (height, width):
        return frames
    # The compiled loop takes a fifth of the time; numba's start, as long as a few hundred frames.
    if frames.device.type == "cpu" and next(_resized) >= PLAIN_FRAMES:
        mix = _compiled_mix()
        if mix is not None:
            return _resize_compiled(frames, size, mix)
    return _resize(frames, size)


def _resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    above, below, down = _taps(frames.shape[1], size[0], frames.device)
    left, right, along = _taps(frames.shape[2], size[1], frames.device)
    across = along[:, None]
    upper, lower = (frames.index_select(1, rows) for rows in (above, below))
    top = _between(upper.index_select(2, left), upper.index_select(2, right), across)
    bottom = _between(lower.index_select(2, left), lower.index_select(2, right), across)
    return _between(top, bottom, down[:, None, None]).round_().to(torch.uint8)


def _taps(source: int, target: int, device: torch.device) -> Taps:
    return bilinear_taps(source, target, source / target, device)


def bilinear_taps(source: int, target: int, step: float, device: torch.device) -> Taps:
    """Taps of ``target`` positions, ``step`` apart, on a line of ``source`` pixels."""
    places = torch.arange(target, dtype=torch.float64, device=device)
    position = ((places + 0.5) * step - 0.5).clamp_(0, source - 1)
    first = position.floor()
    second = (first + 1).clamp_(max=source - 1)
    return first.long(), second.long(), (position - first).float()


def _between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """``first + share * (second - first)``, rounded to float32 at each step."""
    base = first.float()
    # A new tensor even if `second` is float32 already: `base` may be needed again.
    return second.float().sub(base).mul_(share).add_(base)


Mix = Callable[..., None]


def _resize_compiled(frames: Tensor, size: tuple[int, int], mix: Mix) -> Tensor:
    height, width = frames.shape[1:3]
    rows, columns = _tables(height, width, size)
    resized = torch.empty((len(frames), *size, 3), dtype=torch.uint8)
    for frame, target in zip(frames.contiguous().numpy(), resized.numpy(), strict=True):
        source = frame.reshape(height, width * 3)
        mix(source, rows, columns, target.reshape(size[0], size[1] * 3))
    return resized


@functools.lru_cache(maxsize=4)
def _tables(
    height: int, width: int, size: tuple[int, int]
) -> tuple[tuple[NDArray[np.generic], ...], tuple[NDArray[np.generic], ...]]:
    """Taps of rows, and of the values along a row: three for each pixel."""
    device = torch.device("cpu")
    rows = tuple(each.numpy() for each in _taps(height, size[0], device))
    left, right, along = (each.numpy() for each in _taps(width, size[1], device))
    colour = np.arange(3)
    values = [(3 * side[:, None] + colour).ravel() for side in (left, right)]
    return rows, (values[0], values[1], np.repeat(along, 3))


@functools.cache
def _compiled_mix() -> Mix | None:
    """The compiled loop; None if numba cannot compile it or it computes something else."""
    from extract.machine.numba_cache import works

    source = (torch.arange(147, dtype=torch.int32) % 251).to(torch.uint8).reshape(1, 7, 7, 3)

    def example() -> bool:
        from extract.preprocessing.compiled_resize import mix

        return torch.equal(_resize_compiled(source, (5, 5), mix), _resize(source, (5, 5)))

    if not works(example, "the resize of frames", "torch's slower resize"):
        return None
    from extract.preprocessing.compiled_resize import mix

    return mix


def grey(frames: Tensor) -> Tensor:
    """Luma of RGB frames, ``[N, H, W, 3] uint8 -> [N, H, W] uint8``.

    ITU-R BT.601: ``0.299 R + 0.587 G + 0.114 B``, rounded to the nearest integer.
    """
    red, green, blue = frames.unbind(-1)
    luma = red.float().mul_(299).add_(green, alpha=587).add_(blue, alpha=114)
    # Whole numbers so far. A half more, so that no rounding of the product matters.
    return luma.add_(500.5).mul_(0.001).to(torch.uint8)


def scale_rgb(pictures: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """Pictures ``[B, T, H, W, 3] uint8`` to the network's colours ``[B, 3, T, H, W] float32``.

    Args:
        pictures: values of 0..255.
        mean: of each colour over the training data, of 0..1.
        deviation: of each colour, the same.
    """
    clips = pictures.movedim(-1, 1).to(torch.float32, memory_format=torch.contiguous_format)
    # One colour at a time, since a table of three would have to be copied to the device.
    for colour, (middle, spread) in enumerate(zip(mean, deviation, strict=True)):
        clips[:, colour].mul_(1 / (255 * spread)).sub_(middle / spread)
    return clips
