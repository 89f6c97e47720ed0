"""TV-L1 in torch: all pairs of a batch at once, the same code on any device.

Arrays are ``[B, H, W] float32`` for B pairs. This module goes from frames to batches and down the
pyramid; ``extract.flow.tvl1.warp`` linearises, ``extract.flow.tvl1.steps`` iterates, and
``extract.flow.tvl1.kernels`` compiles them. All operations and their order are those of the CPU
engine, so that on a CPU both give the same bits.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from extract.flow.tvl1.kernels import Kernels, choose_kernels
from extract.flow.tvl1.params import TVL1Params, pyramid_sizes
from extract.flow.tvl1.steps import State, iterate
from extract.flow.tvl1.warp import interleave

# Memory of one pair while it is solved, in arrays of its size: 65 measured, most of them while the
# second image is warped.
ARRAYS_PER_PAIR = 72
CPU_BATCH = 1
MAX_GPU_BATCH = 256


def batch_size(height: int, width: int, device: torch.device) -> int:
    """Pairs solved at once: one on a CPU (it fits the cache), else what half the free memory holds.

    Changes no value.
    """
    if device.type != "cuda":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MAX_GPU_BATCH, free // 2 // (height * width * 4 * ARRAYS_PER_PAIR)))


def solve_pairs(
    images: NDArray[np.float32],
    params: TVL1Params,
    device: str = "cpu",
    batch: int | None = None,
    compiled: bool | None = None,
) -> NDArray[np.float32]:
    """Flow between consecutive images, ``[N+1, H, W] float32`` in 0..255 -> ``[N, 2, H, W]``.

    Args:
        images: checked frames, see ``extract.flow.tvl1.solver.check_frames``.
        params: solver settings.
        device: where to compute, as torch writes it.
        batch: pairs at once; by default chosen from the free memory.
        compiled: use torch.compile where it works, by default on a GPU. Changes no value.
    """
    pairs, (height, width) = max(len(images) - 1, 0), images.shape[1:]
    flow = np.empty((pairs, 2, height, width), np.float32)
    place = torch.device(device)
    count = batch or batch_size(height, width, place)
    kernels = choose_kernels(place, compiled)
    with torch.inference_mode():
        for start in range(0, pairs, count):
            stop = min(start + count, pairs)
            batch_now = torch.from_numpy(images[start : stop + 1]).to(place)
            found = _solve_batch(batch_now[:-1], batch_now[1:], params, kernels)
            flow[start:stop] = found.cpu().numpy()
    return flow


def _solve_batch(
    first: torch.Tensor,
    second: torch.Tensor,
    params: TVL1Params,
    kernels: Kernels,
) -> torch.Tensor:
    """Flow ``[B, 2, H, W]`` from images ``first`` to ``second``, ``[B, H, W]`` each."""
    sizes = pyramid_sizes(first.shape[1], first.shape[2], params)
    step = 1 / params.scale_step
    levels = [(first, second)]
    for size in sizes[1:]:
        above = levels[-1]
        levels.append((_resize(above[0], size, step, step), _resize(above[1], size, step, step)))
    flow = first.new_zeros((2, len(first), *sizes[-1]))
    for level in reversed(range(len(sizes))):
        flow = _solve_level(*levels[level], flow, params, params.steps(level), kernels)
        if level:
            have, want = sizes[level], sizes[level - 1]
            flow = _resize(flow, want, have[0] / want[0], have[1] / want[1])
            flow *= 1 / params.scale_step
    return flow.transpose(0, 1)


def _resize(
    image: torch.Tensor, size: tuple[int, int], step_y: float, step_x: float
) -> torch.Tensor:
    """Bilinear resize of ``[..., H, W]``, half-pixel centres; ``step`` is source per target."""
    upper, lower, down = _taps(size[0], image.shape[-2], step_y, image.device)
    left, right, across = _taps(size[1], image.shape[-1], step_x, image.device)
    # Not torch.lerp, which rounds otherwise where the weight is above a half.
    rows = image[..., left]
    rows += across * (image[..., right] - rows)
    top = rows[..., upper, :]
    return top.add_(down[:, None] * (rows[..., lower, :] - top))


@lru_cache(maxsize=64)
def _taps(
    count: int, limit: int, step: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two neighbours of each sample on a line of ``limit`` pixels, and the second one's weight."""
    place = (np.arange(count) + 0.5) * step - 0.5
    place = np.clip(place, 0, limit - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, limit - 1)
    weight = (place - low).astype(np.float32)
    return tuple(torch.from_numpy(values).to(device) for values in (low, high, weight))  # type: ignore[return-value]  # three items


def _solve_level(
    first: torch.Tensor,
    second: torch.Tensor,
    flow: torch.Tensor,
    params: TVL1Params,
    steps: int,
    kernels: Kernels,
) -> torch.Tensor:
    """All warps of one pyramid level; ``flow [2, B, H, W]`` in and out."""
    taps = interleave(second)
    state = State(flow)
    for _ in range(params.warps):
        linear = kernels.linearise(first, taps, state.flow)
        iterate(state, linear, params, steps, kernels.step)
    return state.flow
