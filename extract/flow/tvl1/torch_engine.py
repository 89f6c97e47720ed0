"""TV-L1 in torch: all pairs of a batch at once, the same code on any device.

Arrays are ``[B, H, W] float32`` for B pairs. This module goes from frames to batches and down the
pyramid; ``extract.flow.tvl1.warp`` linearises, ``extract.flow.tvl1.steps`` iterates, and
``extract.flow.tvl1.kernels`` compiles them. All operations and their order are those of the CPU
engine, so that on a CPU both give the same bits.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Execution:
    """How the work is done; nothing here changes a value.

    Attributes:
        batch: pairs at once; None chooses by the free memory.
        compiled: use torch.compile where it works; None wants it on a GPU.
        early: look whether all pairs have met the stop test, and end a warp there. Without it the
            steps that are left are taken, and what is done never depends on what was computed.
    """

    batch: int | None = None
    compiled: bool | None = None
    early: bool = True


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
        batch: see `Execution`.
        compiled: see `Execution`.
    """
    there = torch.from_numpy(images).to(device)
    return solve_tensors(there, params, Execution(batch, compiled)).cpu().numpy()


def solve_tensors(
    images: torch.Tensor, params: TVL1Params, how: Execution | None = None
) -> torch.Tensor:
    """`solve_pairs` on the device that holds the images: nothing leaves it.

    Args:
        images: ``[N+1, H, W] float32`` in 0..255.
        params: solver settings.
        how: the way to compute; without it the one for the device.

    Returns:
        ``[N, 2, H, W] float32``.
    """
    how = how or Execution()
    pairs, (height, width) = max(len(images) - 1, 0), images.shape[1:]
    count = how.batch or batch_size(height, width, images.device)
    kernels = choose_kernels(images.device, how.compiled)._replace(early=how.early)
    with torch.inference_mode():
        flow = images.new_empty((pairs, 2, height, width))
        for start in range(0, pairs, count):
            stop = min(start + count, pairs)
            now = images[start : stop + 1]
            flow[start:stop] = _solve_batch(now[:-1], now[1:], params, kernels)
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


def _taps(
    count: int, limit: int, step: float, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two neighbours of each sample on a line of ``limit`` pixels, and the second one's weight."""
    place = torch.arange(count, dtype=torch.float64, device=device)
    place = ((place + 0.5) * step - 0.5).clamp_(0, limit - 1)
    low = place.floor()
    high = (low + 1).clamp_(max=limit - 1)
    return low.long(), high.long(), (place - low).float()


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
        iterate(state, linear, params, steps, kernels.step, early=kernels.early)
    return state.flow
