"""Launches of the Triton kernels (``extract.flow.tvl1.triton_kernels``) that solve pyramid levels.

Only the GPU knows which pairs have met the stop test; its kernels skip them. The host polls
regularly, without waiting, and stops launching when no pair is running.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.steps import StopPoll
from extract.flow.tvl1.warp import interleave

GROUP = 4
"""Pieces of the image per program, a warp each."""
BLOCK = 128
"""Pixels per program of ``linearise``."""
SEGMENTS = (64, 32, 16)
"""Rows of a piece. Tall pieces recompute fewer rows, short ones are more."""
PIECES = 4096
"""Enough to fill a large GPU: 132 multiprocessors with 32 warps each."""
POLL_EVERY = 4
"""Launches from one poll of the stop tests to the next."""


def launches(iterations: int, check_every: int) -> Iterator[tuple[int, bool]]:
    """Steps of each launch, 1 or 2, and whether the stop test applies to the last of them."""
    done = 0
    while done < iterations:
        left = min(check_every - done % check_every, iterations - done)
        done += min(left, 2)
        yield min(left, 2), left <= 2


def segment_rows(strips: int, height: int) -> int:
    """Rows of a piece, for the number of strips in a batch."""
    for rows in SEGMENTS:
        if strips * -(-height // rows) >= PIECES:
            return rows
    return SEGMENTS[-1]


@dataclass(frozen=True)
class TritonSolver:
    """Solves a level, see ``extract.flow.tvl1.torch_engine.LevelSolver``.

    Attributes:
        kernels: the module ``triton_kernels``.
        block: see ``BLOCK``; like the next two, changes no value.
        group: see ``GROUP``.
        segment: rows of a piece; None chooses by the size.
    """

    kernels: Any
    block: int = BLOCK
    group: int = GROUP
    segment: int | None = None

    def __call__(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        flow: torch.Tensor,
        params: TVL1Params,
        iterations: int,
        early: bool,
    ) -> torch.Tensor:
        """All warps of one level."""
        with torch.cuda.device_of(first):  # Triton launches on the current device
            level = _Level(self, first, second, flow, params)
            for _ in range(params.warps):
                level.linearise()
                stop = StopPoll()
                for number, (count, test) in enumerate(launches(iterations, params.check_every), 1):
                    level.steps(count, test)
                    poll = early and number % POLL_EVERY == 0
                    if poll and stop.all_stopped(level.any_running()):
                        break
            return level.flow()


class _Level:
    """The buffers of a level, with the layout of ``triton_kernels``, and the launches."""

    def __init__(
        self,
        solver: TritonSolver,
        first: torch.Tensor,
        second: torch.Tensor,
        flow: torch.Tensor,
        params: TVL1Params,
    ) -> None:
        self._kernels, self._block, self._group = solver.kernels, solver.block, solver.group
        self._size = pairs, height, width = tuple(first.shape)
        self._images = first.contiguous(), interleave(second)
        strips = -(-width // self._kernels.OWNED.value)
        segment = solver.segment or segment_rows(pairs * strips, height)
        self._cut = strips, segment
        self._programs = -(-strips * -(-height // segment) // self._group)
        self._numbers = params.lambda_ * params.theta, params.theta, params.tau / params.theta
        self._state = flow.new_empty((2, 6, *first.shape))
        self._state[0, :2].copy_(flow)
        self._state[0, 2:].zero_()
        self._linear = flow.new_empty((4, *first.shape))
        self._status = torch.zeros((2, pairs), dtype=torch.int32, device=flow.device)
        self._sums = flow.new_empty((2, pairs, self._programs), dtype=torch.float64)
        limit = params.epsilon**2 * height * width
        self._limit = flow.new_full((1,), limit, dtype=torch.float64)
        self._slot, self._tested = 0, False

    def linearise(self) -> None:
        """Start a warp."""
        pairs, height, width = self._size
        self._kernels.linearise[(-(-height * width // self._block), pairs)](
            *(*self._images, self._state, self._linear, self._status, self._slot, *self._size),
            **{"BLOCK": self._block, "num_warps": self._block // 32, "enable_fp_fusion": False},
        )
        self._slot, self._tested = 1 - self._slot, False

    def steps(self, count: int, test: bool) -> None:
        """Take one or two steps; ``test`` makes the next launch run the stop test."""
        self._kernels.steps[(self._programs, self._size[0])](
            *(self._state, self._linear, self._sums, self._status, self._limit),
            *(self._slot, int(self._tested), *self._size, *self._cut, *self._numbers),
            **{"STEPS": count, "GROUP": self._group},
            **{"num_warps": self._group, "enable_fp_fusion": False},
        )
        self._slot, self._tested = 1 - self._slot, test

    def any_running(self) -> torch.Tensor:
        """Whether any pair was running in the last launch, as a tensor on the device."""
        return (self._status[self._slot] < self._kernels.STOPPED.value).any()

    def flow(self) -> torch.Tensor:
        """The newest flow ``[2, B, H, W]``."""
        newest = (self._status[self._slot] % self._kernels.STOPPED.value)[:, None, None]
        return torch.where(newest == 0, self._state[0, :2], self._state[1, :2])
