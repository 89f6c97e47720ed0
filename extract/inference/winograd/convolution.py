"""Convolution with bias and ReLU by Winograd's minimal filtering over height and width.

A 3x3x3 convolution of stride 1 takes a quarter of the multiplications that the definition has. The
7x7x7 one of stride 2 is, over a picture of half the size whose pixels are 2x2 pixels of the input,
one of 4x4 taps, and takes a quarter too. What is left are matrix products, of which each thread
does those of a block of tiles after the other, in its cache.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from extract.backbones.i3d import same_padding
from extract.inference.winograd.kernels import convolve, fold
from extract.inference.winograd.llvm_vectors import COLUMNS, LANES, LEAST_GROUP, MOST_ROWS, UNROLLED
from extract.inference.winograd.thread_team import Room, Team, aligned
from extract.inference.winograd.transforms import F44, Form, form_of_three_taps, tiles

MOST_TILES = 12
"""Tiles of a block: two groups of rows of a product."""
LEAST_ROWS = 24
"""Tiles times frames below which reading the weights, which are four times as many as the plain
ones, takes longer than multiplying by them."""
BLOCKS_EACH = 4
"""Blocks for each thread at least, so that none waits long for the last."""


def form_for(weight: Tensor, stride: int, clips: tuple[int, ...]) -> Form | None:
    """The form that a convolution with SAME padding gains by, None where there is none.

    The rule looks at shapes alone, so that equal machines compute equal bytes.

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
        form = form_of_three_taps(height, width)
    elif (
        taps == 7
        and stride == 2
        and height % 2 == width % 2 == 0
        and 4 * channels % UNROLLED == 0
        and 4 * channels >= LANES
    ):
        form, height, width = F44, height // 2, width // 2
    else:
        return None
    frames = -(-frames // stride)
    return form if tiles(form, height, width) * frames >= LEAST_ROWS else None


def _folded_taps(weight: Tensor) -> Tensor:
    """7x7 taps of C channels as 4x4 taps of 4 C: taps 2a + p of pixel p at a, the last one zero."""
    outputs, channels, taps = weight.shape[:3]
    found = weight.new_zeros(outputs, channels, taps, 8, 8)
    found[..., :7, :7] = weight
    found = found.view(outputs, channels, taps, 4, 2, 4, 2).permute(0, 4, 6, 1, 2, 3, 5)
    return found.reshape(outputs, 4 * channels, taps, 4, 4)


def _panels(weight: Tensor, form: Form) -> Tensor:
    """Weights ``[N, C, T, r, r]`` as ``[N / 16, side * side, T, C, 16]`` factors."""
    outputs, channels, taps = weight.shape[:3]
    count = outputs // COLUMNS
    line = torch.tensor([[float(v) for v in row] for row in form.filter_matrix]).double()
    both = torch.kron(line, line)
    plain = weight.reshape(count, COLUMNS, channels, taps, -1).permute(0, 4, 3, 2, 1)
    shape = (count, form.side**2, taps, channels, COLUMNS)
    found = torch.from_numpy(aligned(int(np.prod(shape)))).view(count, form.side**2, -1)
    for panel, rows in zip(found, plain, strict=True):
        panel.copy_(both @ rows.reshape(len(rows), -1).double())
    return found.view(shape)


@dataclass(frozen=True)
class _Plan:
    """How the work of one call is shared out.

    Attributes:
        blocks: (first tile, tiles) of each.
        panels: (first, end) of each part of the output channels, in sixteens.
        room: tiles that there is room for.
    """

    blocks: tuple[tuple[int, int], ...]
    panels: tuple[tuple[int, int], ...]
    room: int


def _parts(whole: int, count: int) -> list[tuple[int, int]]:
    """(first, end) of ``count`` parts of nearly equal size."""
    return [(whole * n // count, whole * (n + 1) // count) for n in range(count)]


def _plan(places: int, panels: int, clips: int, threads: int) -> _Plan:
    """Blocks of tiles, and output channels in as many parts as keep all threads busy.

    The values do not depend on it.
    """
    count = -(-places // MOST_TILES)
    blocks = tuple((first, end - first) for first, end in _parts(places, count))
    wanted = -(-BLOCKS_EACH * threads // (count * clips)) if threads > 1 else 1
    room = max(LEAST_GROUP, *(tiles for _, tiles in blocks))
    return _Plan(blocks, tuple(_parts(panels, min(wanted, panels))), room)


class WinogradConvolution:
    """Convolution with SAME padding, bias and ReLU on a CPU.

    Args:
        weight: ``[N, C, 3, 3, 3]``, or ``[N, C, 7, 7, 7]`` with stride 2.
        bias: ``[N]``.
        stride: of all axes.
        form: what `form_for` says.
        team: who computes.
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, form: Form, team: Team) -> None:
        self._taps, self._stride, self._form, self._team = weight.shape[2], stride, form, team
        self._weights = _panels(weight if stride == 1 else _folded_taps(weight), form)
        self._bias = bias.float().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, N, T', H', W']``, channels last in memory.

        ``x`` may be some channels of a wider tensor with channels last; else it is copied.
        """
        x = x.permute(0, 2, 3, 4, 1)
        if x.stride(4) != 1:
            x = x.contiguous()
        before = same_padding(x.shape[1], self._taps, self._stride)[0]
        if self._stride == 2:
            x = self._folded(x)
        frames = -(-x.shape[1] // self._stride)
        panels = len(self._weights)
        out = torch.empty(x.shape[0], frames, *x.shape[2:4], panels * COLUMNS)
        places = tiles(self._form, *x.shape[2:4])
        plan = _plan(places, panels, len(x), self._team.size)
        jobs = list(itertools.product(range(len(x)), plan.blocks, plan.panels))

        def work(room: Room, turns: Iterable[int]) -> None:
            held = None
            for turn in turns:
                clip, block, part = jobs[turn]
                fresh = held != (clip, block)
                held = (clip, block)
                self._work(x[clip], out[clip], before, (*block, plan.room), part, room, fresh)

        self._team.run(work, len(jobs))
        return out.permute(0, 4, 1, 2, 3)

    def _folded(self, x: Tensor) -> Tensor:
        """Clips ``[B, T, H, W, C]`` as ``[B, T, H/2, W/2, 4 C]``."""
        batch, frames, height, width, channels = x.shape
        out = torch.empty(batch, frames, height // 2, width // 2, 4 * channels)
        source, target = x.flatten(0, 1).numpy(), out.flatten(0, 1).numpy()

        def work(_: Room, turns: Iterable[int]) -> None:
            for turn in turns:
                fold(source[turn], target[turn])

        self._team.run(work, len(source))
        return out

    def _work(
        self,
        x: Tensor,
        out: Tensor,
        before: int,
        block: tuple[int, int, int],
        part: tuple[int, int],
        room: Room,
        fresh: bool,
    ) -> None:
        """One block of tiles of one clip, some of its output channels."""
        form, side = self._form, self._form.side
        frames, _, _, channels = x.shape
        factors = side**2 * (frames * block[2] * channels + COLUMNS) + MOST_ROWS * channels
        sums = side**2 * (len(out) * block[2] * COLUMNS + COLUMNS) + MOST_ROWS * COLUMNS
        convolve(
            (form.outputs, side),
            (self._taps, self._stride, before, 1),
            (x.data_ptr(), x.stride()[:3], tuple(x.shape)),
            (out.data_ptr(), out.stride()[:3], tuple(out.shape[:3])),
            (*block, -(-out.shape[2] // form.outputs)),
            part,
            self._weights.data_ptr(),
            self._bias.data_ptr(),
            (
                room.address("factors", factors),
                room.address("sums", sums),
                room.address("spare", side**2 * max(channels, COLUMNS)),
            ),
            fresh,
        )
