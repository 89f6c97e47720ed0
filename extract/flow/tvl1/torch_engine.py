"""TV-L1 in torch: all pairs of a batch at once, on any device.

Arrays are ``[B, H, W] float32`` for B pairs. A pyramid level is solved by plain torch
(``extract.flow.tvl1.warp`` linearises, ``extract.flow.tvl1.steps`` iterates) or, on a GPU, by fused
kernels (``extract.flow.tvl1.triton_engine``). Operations and their order are those of the CPU
engine, so all three give the same bits.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from extract.flow.tvl1.params import TVL1Params, pyramid_sizes
from extract.flow.tvl1.steps import State, iterate
from extract.flow.tvl1.warp import interleave, linearise
from extract.preprocessing.torch_ops import bilinear_taps

log = logging.getLogger(__name__)

LevelSolver = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, TVL1Params, int, bool], torch.Tensor
]
"""From the images ``first`` and ``second [B, H, W]`` of a level, the initial flow ``[2, B, H, W]``,
the parameters, the maximum of steps per warp and ``early`` (see `Execution`) to its flow."""

# Memory per pair in arrays of its size: 65 measured, most of them while plain torch warps.
ARRAYS_PER_PAIR = 72
TOLERANCE = 1e-4
"""Largest difference in pixels between fused kernels and plain torch on a small example."""
CPU_BATCH = 1
MAX_GPU_BATCH = 256


def batch_size(height: int, width: int, device: torch.device) -> int:
    """Pairs per batch: one on a CPU, to fit the cache; on a GPU what fits half the free memory.

    Changes no value.
    """
    if device.type != "cuda":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MAX_GPU_BATCH, free // 2 // (height * width * 4 * ARRAYS_PER_PAIR)))


@dataclass(frozen=True)
class Execution:
    """Options that change no value.

    Attributes:
        batch: pairs per batch; None chooses by the free memory.
        solver: of a level; None takes `level_solver` for the device.
        early: end a warp once all pairs have met the stop test. Otherwise all steps are taken, and
            no operation depends on a computed value.
    """

    batch: int | None = None
    solver: LevelSolver | None = None
    early: bool = True


def solve_pairs(
    images: NDArray[np.float32],
    params: TVL1Params,
    device: str = "cpu",
    execution: Execution | None = None,
) -> NDArray[np.float32]:
    """`solve_tensors` of checked frames (`solver.check_frames`) on a device, as torch names it."""
    there = torch.from_numpy(images).to(device)
    return solve_tensors(there, params, execution).cpu().numpy()


def solve_tensors(
    images: torch.Tensor, params: TVL1Params, execution: Execution | None = None
) -> torch.Tensor:
    """Flow between consecutive images, on the device that holds them.

    Args:
        images: ``[N+1, H, W] float32`` in 0..255.
        params: solver settings.
        execution: options that change no value.

    Returns:
        ``[N, 2, H, W] float32``, pixels per frame, u then v.
    """
    execution = execution or Execution()
    pairs, (height, width) = max(len(images) - 1, 0), images.shape[1:]
    count = execution.batch or batch_size(height, width, images.device)
    solver = execution.solver or level_solver(images.device)
    with torch.inference_mode():
        flow = images.new_empty((pairs, 2, height, width))
        for start in range(0, pairs, count):
            stop = min(start + count, pairs)
            now = images[start : stop + 1]
            flow[start:stop] = _solve_batch(now[:-1], now[1:], params, solver, execution.early)
    return flow


def _solve_batch(
    first: torch.Tensor,
    second: torch.Tensor,
    params: TVL1Params,
    solver: LevelSolver,
    early: bool,
) -> torch.Tensor:
    """Flow ``[B, 2, H, W]`` from ``first`` to ``second``."""
    sizes = pyramid_sizes(first.shape[1], first.shape[2], params)
    step = 1 / params.scale_step
    levels = [(first, second)]
    for size in sizes[1:]:
        above = levels[-1]
        levels.append((_resize(above[0], size, step, step), _resize(above[1], size, step, step)))
    flow = first.new_zeros((2, len(first), *sizes[-1]))
    for level in reversed(range(len(sizes))):
        flow = solver(*levels[level], flow, params, params.steps(level), early)
        if level:
            have, want = sizes[level], sizes[level - 1]
            flow = _resize(flow, want, have[0] / want[0], have[1] / want[1])
            flow *= 1 / params.scale_step
    return flow.transpose(0, 1)


def _resize(
    image: torch.Tensor, size: tuple[int, int], step_y: float, step_x: float
) -> torch.Tensor:
    """Bilinear resize of ``[..., H, W]``, half-pixel centres; ``step`` is source per target."""
    upper, lower, down = bilinear_taps(image.shape[-2], size[0], step_y, image.device)
    left, right, across = bilinear_taps(image.shape[-1], size[1], step_x, image.device)
    # torch.lerp would round differently for weights above a half.
    rows = image[..., left]
    rows += across * (image[..., right] - rows)
    top = rows[..., upper, :]
    return top.add_(down[:, None] * (rows[..., lower, :] - top))


def plain_level(
    first: torch.Tensor,
    second: torch.Tensor,
    flow: torch.Tensor,
    params: TVL1Params,
    iterations: int,
    early: bool,
) -> torch.Tensor:
    """Solve a level with torch's own operations, see `LevelSolver`."""
    taps = interleave(second)
    state = State(flow)
    for _ in range(params.warps):
        iterate(state, linearise(first, taps, state.flow), params, iterations, early)
    return state.flow


@functools.lru_cache(maxsize=8)
def level_solver(device: torch.device) -> LevelSolver:
    """Fused kernels on a GPU if they can be launched and agree with plain torch, else that."""
    if device.type != "cuda":
        return plain_level
    try:
        from extract.flow.tvl1 import triton_kernels
        from extract.flow.tvl1.triton_engine import TritonSolver

        fused = TritonSolver(triton_kernels)
        check_level(fused, device)
    except Exception as error:  # whatever stops Triton, plain torch still works
        reason = str(error).strip().partition("\n")[0]
        log.warning(
            "flow on %s runs without its fused kernels, several times slower: %s: %s",
            *(device, type(error).__name__, reason),
        )
        return plain_level
    return fused


@torch.inference_mode()
def check_level(solver: LevelSolver, device: torch.device) -> None:
    """Compare a solver with `plain_level` on a small example, with launches of one and two steps.

    Raises:
        ArithmeticError: their flow differs by more than ``TOLERANCE``.
    """
    rows = torch.arange(20, device=device)[:, None]
    waves = torch.sin(rows + torch.arange(33, device=device) + rows[:2, :, None])
    first, second = 99 + 50 * waves, 99 + 50 * waves.roll(1, -1)
    start = first.new_zeros((2, *first.shape))
    params = TVL1Params(warps=2, check_every=3)
    plain, found = (each(first, second, start, params, 7, False) for each in (plain_level, solver))
    apart = float((plain - found).abs().max())
    if not apart <= TOLERANCE:
        raise ArithmeticError(f"their flow differs from plain torch's by {apart:.2g} px")
