"""TV-L1 in torch: all pairs of a batch at once, the same code on any device.

Every array is ``[B, H, W] float32`` for B pairs. On a GPU nothing is read back inside the
iteration: a pair that has met the stop test is copied out once and the others go on. On a CPU the
loop ends as soon as no pair of the batch is left. Neither changes a pair's values, which depend on
that pair alone.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from extract.flow_tvl1 import TVL1Params, pyramid_sizes

# Memory of one pair while it is solved, in arrays of its size: frames, gradients, flow, duals,
# warped data, temporaries, and the interleaved taps of the warp.
ARRAYS_PER_PAIR = 48
CPU_BATCH = 1
MAX_GPU_BATCH = 256
# Gradient magnitudes below this carry no direction (float32 epsilon, as in OpenCV).
FLAT = float(np.finfo(np.float32).eps)


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
    runs: Sequence[range],
    device: str = "cpu",
    batch: int | None = None,
) -> NDArray[np.float32]:
    """Flow between consecutive images, ``[N+1, H, W] float32`` in 0..255 -> ``[N, 2, H, W]``.

    Args:
        images: checked frames, see ``extract.flow_tvl1.check_frames``.
        params: solver settings.
        runs: pairs that are solved one after the other, see ``extract.flow_tvl1.chains``.
        device: where to compute, as torch writes it.
        batch: pairs at once; by default chosen from the free memory.
    """
    pairs, (height, width) = len(images) - 1, images.shape[1:]
    flow = np.empty((max(pairs, 0), 2, height, width), np.float32)
    place = torch.device(device)
    count = batch or batch_size(height, width, place)
    with torch.inference_mode():
        for place_in_run in range(max(map(len, runs), default=0)):
            wave = [run[place_in_run] for run in runs if place_in_run < len(run)]
            for start in range(0, len(wave), count):
                pairs_now = np.array(wave[start : start + count])
                first, second = (_upload(images, pairs_now + n, place) for n in range(2))
                begin = _upload(flow, pairs_now - 1, place) if place_in_run else None
                flow[pairs_now] = _solve_batch(first, second, params, begin).cpu().numpy()
    return flow


def _upload(
    array: NDArray[np.float32], rows: NDArray[np.int64], device: torch.device
) -> torch.Tensor:
    return torch.from_numpy(array[rows]).to(device)


def _solve_batch(
    first: torch.Tensor,
    second: torch.Tensor,
    params: TVL1Params,
    begin: torch.Tensor | None = None,
) -> torch.Tensor:
    """Flow ``[B, 2, H, W]`` from images ``first`` to ``second``, ``[B, H, W]`` each.

    ``begin [B, 2, H, W]`` is where to begin; without it that is no motion.
    """
    sizes = pyramid_sizes(first.shape[1], first.shape[2], params)
    step = 1 / params.scale_step
    levels = [(first, second)]
    for size in sizes[1:]:
        above = levels[-1]
        levels.append((_resize(above[0], size, step, step), _resize(above[1], size, step, step)))
    if begin is None:
        flow = first.new_zeros((2, len(first), *sizes[-1]))
    else:
        flow = begin.transpose(0, 1)
        for size in sizes[1:]:
            flow = torch.stack([_resize(part, size, step, step) for part in flow])
            flow = flow * params.scale_step
    for level in reversed(range(len(sizes))):
        flow = _solve_level(*levels[level], flow, params, params.steps(level))
        if level:
            finer = sizes[level - 1]
            ratios = [have / want for have, want in zip(sizes[level], finer, strict=True)]
            flow = torch.stack([_resize(part, finer, *ratios) for part in flow])
            flow = flow * (1 / params.scale_step)
    return flow.transpose(0, 1)


def _resize(
    image: torch.Tensor, size: tuple[int, int], step_y: float, step_x: float
) -> torch.Tensor:
    """Bilinear resize of ``[B, H, W]`` with half-pixel centres; ``step`` is source per target."""
    upper, lower, down = _taps(size[0], image.shape[1], step_y, image.device)
    left, right, across = _taps(size[1], image.shape[2], step_x, image.device)
    rows = torch.lerp(image[:, :, left], image[:, :, right], across)
    return torch.lerp(rows[:, upper], rows[:, lower], down[:, None])


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
    first: torch.Tensor, second: torch.Tensor, flow: torch.Tensor, params: TVL1Params, steps: int
) -> torch.Tensor:
    """All warps of one pyramid level; ``flow [2, B, H, W]`` in and out."""
    across, down = _central_gradient(second)
    taps = torch.stack([second, across, down, torch.zeros_like(second)], dim=-1)
    dual = first.new_zeros((2, 2, *first.shape))
    for _ in range(params.warps):
        warped, ix, iy, seen = _warp(taps, flow)
        # What moved out of the frame has no data term; smoothness alone carries it.
        ix, iy = ix * seen, iy * seen
        gradient = ix * ix + iy * iy
        rest = (warped - first) * seen - ix * flow[0] - iy * flow[1]
        # One over the squared gradient; where there is none, the data term moves nothing.
        inverse = 1 / gradient.clamp(min=FLAT)
        flow, dual = _iterate(flow, dual, torch.stack([ix, iy]), rest, inverse, params, steps)
    return flow


def _iterate(
    flow: torch.Tensor,
    dual: torch.Tensor,
    gradient: torch.Tensor,
    rest: torch.Tensor,
    inverse: torch.Tensor,
    params: TVL1Params,
    steps: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Primal-dual steps of one warp until each pair has met the stop test or the limit.

    Args:
        flow: ``[2, B, H, W]``, u and v.
        dual: ``[2, 2, B, H, W]``: of u and v, along x and y.
        gradient: ``[2, B, H, W]``, warped image gradient.
        rest: ``[B, H, W]``, constant part of the linearised difference.
        inverse: ``[B, H, W]``, one over the squared gradient magnitude.
        params: solver settings.
        steps: at most this many.
    """
    limit = params.epsilon**2 * rest[0].numel()
    ended = torch.zeros(rest.shape[0], dtype=torch.bool, device=rest.device)
    kept_flow, kept_dual = flow, dual
    for step in range(1, steps + 1):
        before = flow
        flow = _primal(flow, dual, gradient, rest, inverse, params)
        dual = _dual(flow, dual, params)
        last = step == steps
        if step % params.check_every and not last:
            continue
        # Summed along rows, then down and over u and v, so that the order is one pair's own.
        change = (flow - before).square().sum(-1).sum(-1).sum(0)
        ends = ~ended if last else (change <= limit) & ~ended
        kept_flow = torch.where(ends[:, None, None], flow, kept_flow)
        kept_dual = torch.where(ends[:, None, None], dual, kept_dual)
        ended = ended | ends
        if rest.device.type == "cpu" and bool(ended.all()):
            break
    return kept_flow, kept_dual


def _primal(
    flow: torch.Tensor,
    dual: torch.Tensor,
    gradient: torch.Tensor,
    rest: torch.Tensor,
    inverse: torch.Tensor,
    params: TVL1Params,
) -> torch.Tensor:
    """Thresholding step (Zach et al., proposition 3), then the divergence of the dual variable."""
    residual = rest + (gradient * flow).sum(0)
    bound = params.lambda_ * params.theta
    move = (-residual * inverse).clamp(-bound, bound)
    return flow + move * gradient + params.theta * _divergence(dual)


def _dual(flow: torch.Tensor, dual: torch.Tensor, params: TVL1Params) -> torch.Tensor:
    """Semi-implicit step of Chambolle (2004) on the dual variables of u and v."""
    step = params.tau / params.theta
    slope = torch.stack(_forward_gradient(flow), dim=1)
    length = slope.square().sum(1, keepdim=True).sqrt()
    return (dual + step * slope) / (1 + step * length)


def _divergence(dual: torch.Tensor) -> torch.Tensor:
    """Backward differences, minus the adjoint of ``_forward_gradient``; zero before the border."""
    across, down = dual[:, 0], dual[:, 1]
    return (across - F.pad(across, (1, 0))[..., :-1]) + (
        down - F.pad(down, (0, 0, 1, 0))[..., :-1, :]
    )


def _forward_gradient(flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences to the right and lower neighbour; zero at the last column and row."""
    across = F.pad(flow[..., 1:] - flow[..., :-1], (0, 1))
    down = F.pad(flow[..., 1:, :] - flow[..., :-1, :], (0, 0, 0, 1))
    return across, down


def _central_gradient(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Half the difference of the neighbours, which repeat at the border."""
    wide = torch.cat([image[..., :1], image, image[..., -1:]], dim=-1)
    tall = torch.cat([image[..., :1, :], image, image[..., -1:, :]], dim=-2)
    return 0.5 * (wide[..., 2:] - wide[..., :-2]), 0.5 * (tall[..., 2:, :] - tall[..., :-2, :])


def _warp(
    taps: torch.Tensor, flow: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Image and gradient where the flow points to (bicubic), and 1 where that is in the frame.

    Args:
        taps: ``[B, H, W, 4]``: image, its two gradients, and a filler that makes a tap 16 bytes.
        flow: ``[2, B, H, W]``.
    """
    count, height, width, _ = taps.shape
    x = flow[0] + torch.arange(width, device=flow.device)
    y = flow[1] + torch.arange(height, device=flow.device)[:, None]
    seen = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, upper = x.floor(), y.floor()
    weights_x, weights_y = _cubic_weights(x - left), _cubic_weights(y - upper)
    columns = [(left + n).clamp(0, width - 1).long() for n in range(-1, 3)]
    starts = torch.arange(count, device=flow.device)[:, None, None] * height
    rows = [((upper + n).clamp(0, height - 1).long() + starts) * width for n in range(-1, 3)]
    pixels = taps.view(-1, 4)
    total = torch.zeros_like(taps)
    for row, weight_y in zip(rows, weights_y, strict=True):
        line = torch.zeros_like(taps)
        for column, weight_x in zip(columns, weights_x, strict=True):
            values = pixels.index_select(0, (row + column).flatten()).view_as(taps)
            line.addcmul_(values, weight_x[..., None])
        total.addcmul_(line, weight_y[..., None])
    return total[..., 0], total[..., 1], total[..., 2], seen.to(flow.dtype)


def _cubic_weights(offset: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Weights of the four neighbours at ``offset`` in [0, 1): Keys' kernel with a = -0.5."""
    t = offset
    return (
        t * (t * (-0.5 * t + 1.0) - 0.5),
        t * t * (1.5 * t - 2.5) + 1.0,
        t * (t * (-1.5 * t + 2.0) + 0.5),
        t * t * (0.5 * t - 0.5),
    )
