"""Convolution with bias and ReLU by Winograd's minimal filtering over height and width.

A 3x3x3 convolution of stride 1 takes a quarter of the usual multiplications. So does the 7x7x7
convolution of stride 2: after space-to-depth (2x2 pixels become one of four times the channels) it
has 4x4 taps and stride 1. What remains are matrix products. Each thread computes those of one block
of tiles at a time, so that they stay in its cache.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from extract.backbones.i3d import same_padding
from extract.inference.winograd.kernels import convolve, space_to_depth
from extract.inference.winograd.llvm_vectors import COLUMNS, LANES, LEAST_GROUP, MOST_ROWS, UNROLLED
from extract.inference.winograd.thread_team import ThreadTeam, Workspace
from extract.inference.winograd.transforms import F44, Transform, tiles, transform_3x3
from extract.machine.llvm_code import aligned

MOST_TILES = 12
"""Most tiles of a block: two groups of rows of a product."""
LEAST_ROWS = 24
"""Least tiles times frames. With fewer, reading the transformed weights, four times as many as the
plain ones, takes longer than multiplying by them."""
BLOCKS_EACH = 4
"""Least blocks per thread, so that no thread waits long for the last."""


def transform_for(weight: Tensor, stride: int, clips: tuple[int, ...]) -> Transform | None:
    """The transform that makes a convolution with SAME padding faster, or None.

    It depends on shapes alone, so that equal machines compute equal bytes.

    Args:
        weight: ``[N, C, T, H, W]``.
        stride: of all axes.
        clips: shape ``[B, C, T, H, W]`` of the input.
    """
    outputs, channels, taps = weight.shape[:3]
    frames, height, width = clips[2:]
    if outputs % COLUMNS:
        return None
    if taps == 3 and stride == 1 and channels % LANES == 0:
        transform = transform_3x3(height, width)
    elif (
        taps == 7
        and stride == 2
        and height % 2 == width % 2 == 0
        and 4 * channels % UNROLLED == 0
        and 4 * channels >= LANES
    ):
        transform, height, width = F44, height // 2, width // 2
    else:
        return None
    frames = -(-frames // stride)
    return transform if tiles(transform, height, width) * frames >= LEAST_ROWS else None


def _space_to_depth_taps(weight: Tensor) -> Tensor:
    """7x7 taps of C channels as 4x4 taps of 4 C channels, padded with zeros to 8x8."""
    outputs, channels, taps = weight.shape[:3]
    found = weight.new_zeros(outputs, channels, taps, 8, 8)
    found[..., :7, :7] = weight
    found = found.view(outputs, channels, taps, 4, 2, 4, 2).permute(0, 4, 6, 1, 2, 3, 5)
    return found.reshape(outputs, 4 * channels, taps, 4, 4)


def _panels(weight: Tensor, transform: Transform) -> Tensor:
    """Weights ``[N, C, T, r, r]`` transformed to ``[N / 16, side * side, T, C, 16]``."""
    outputs, channels, taps = weight.shape[:3]
    count = outputs // COLUMNS
    line = torch.tensor([[float(v) for v in row] for row in transform.filter_matrix]).double()
    both = torch.kron(line, line)
    plain = weight.reshape(count, COLUMNS, channels, taps, -1).permute(0, 4, 3, 2, 1)
    shape = (count, transform.side**2, taps, channels, COLUMNS)
    found = torch.from_numpy(aligned(int(np.prod(shape)))).view(count, transform.side**2, -1)
    for panel, rows in zip(found, plain, strict=True):
        panel.copy_(both @ rows.reshape(len(rows), -1).double())
    return found.view(shape)


def _parts(whole: int, count: int) -> list[tuple[int, int]]:
    """(first, end) of ``count`` parts of nearly equal size."""
    return [(whole * n // count, whole * (n + 1) // count) for n in range(count)]


def _plan(
    places: int, panels: int, clips: int, threads: int
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
    """How the work of one call is divided, which changes no result.

    Returns:
        (first tile, tiles, tiles that the buffers hold) of each block, and enough parts (first,
        end) of the output channels, in sixteens, to keep all threads busy.
    """
    count = -(-places // MOST_TILES)
    tiles = [(first, end - first) for first, end in _parts(places, count)]
    capacity = max(LEAST_GROUP, *(size for _, size in tiles))
    wanted = -(-BLOCKS_EACH * threads // (count * clips)) if threads > 1 else 1
    blocks = [(first, size, capacity) for first, size in tiles]
    return blocks, _parts(panels, min(wanted, panels))


class WinogradConvolution:
    """Convolution with SAME padding, bias and ReLU on a CPU.

    Args:
        weight: ``[N, C, 3, 3, 3]``, or ``[N, C, 7, 7, 7]`` with stride 2.
        bias: ``[N]``.
        stride: of all axes.
        transform: the result of `transform_for`.
        team: the threads that compute.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, stride: int, transform: Transform, team: ThreadTeam
    ) -> None:
        self._taps, self._stride = weight.shape[2], stride
        self._transform, self._team = transform, team
        self._weights = _panels(weight if stride == 1 else _space_to_depth_taps(weight), transform)
        self._bias = bias.float().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, N, T', H', W']``, both best with channels last in memory."""
        x = x.permute(0, 2, 3, 4, 1)
        if x.stride(4) != 1:
            x = x.contiguous()
        before = same_padding(x.shape[1], self._taps, self._stride)[0]
        if self._stride == 2:
            x = self._space_to_depth(x)
        frames = -(-x.shape[1] // self._stride)
        panels = len(self._weights)
        out = torch.empty(x.shape[0], frames, *x.shape[2:4], panels * COLUMNS)
        places = tiles(self._transform, *x.shape[2:4])
        blocks, parts = _plan(places, panels, len(x), self._team.size)
        jobs = list(itertools.product(range(len(x)), blocks, parts))

        def work(workspace: Workspace, turns: Iterable[int]) -> None:
            held = None
            for turn in turns:
                clip, block, part = jobs[turn]
                fresh = held != (clip, block)
                held = (clip, block)
                self._work(x[clip], out[clip], before, block, part, workspace, fresh)

        self._team.run(work, len(jobs))
        return out.permute(0, 4, 1, 2, 3)

    def _space_to_depth(self, x: Tensor) -> Tensor:
        """Clips ``[B, T, H, W, C]`` as ``[B, T, H/2, W/2, 4 C]``."""
        batch, frames, height, width, channels = x.shape
        out = torch.empty(batch, frames, height // 2, width // 2, 4 * channels)
        source, target = x.flatten(0, 1).numpy(), out.flatten(0, 1).numpy()

        def work(_: Workspace, turns: Iterable[int]) -> None:
            for turn in turns:
                space_to_depth(source[turn], target[turn])

        self._team.run(work, len(source))
        return out

    def _work(
        self,
        x: Tensor,
        out: Tensor,
        before: int,
        block: tuple[int, int, int],
        part: tuple[int, int],
        workspace: Workspace,
        fresh: bool,
    ) -> None:
        """Compute a block of tiles of one clip in some of the output channels."""
        transform, side = self._transform, self._transform.side
        frames, _, _, channels = x.shape
        transformed = side**2 * (frames * block[2] * channels + COLUMNS) + MOST_ROWS * channels
        products = side**2 * (len(out) * block[2] * COLUMNS + COLUMNS) + MOST_ROWS * COLUMNS
        convolve(
            (transform.outputs, side),
            (self._taps, self._stride, before, 1),
            (x.data_ptr(), x.stride()[:3], tuple(x.shape)),
            (out.data_ptr(), out.stride()[:3], tuple(out.shape[:3])),
            (*block, -(-out.shape[2] // transform.outputs)),
            part,
            self._weights.data_ptr(),
            self._bias.data_ptr(),
            (
                workspace.address("transformed", transformed),
                workspace.address("products", products),
                workspace.address("scratch", side**2 * max(channels, COLUMNS)),
            ),
            fresh,
        )
