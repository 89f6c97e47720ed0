"""TV-L1's pyramid levels on a GPU by Triton kernels (``extract.flow.tvl1.triton_kernels``).

The host only launches. Which pairs have met the stop test is known to the GPU alone, whose kernels
skip them; a look now and then, without waiting, ends the launches when none is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.steps import Watch
from extract.flow.tvl1.warp import interleave

GROUP = 4
"""Pieces of the image per program, a warp each."""
BLOCK = 128
"""Pixels per program of the warp."""
SEGMENTS = (64, 32, 16)
"""Rows of a piece. More rows are computed twice less often, fewer give more pieces."""
PIECES = 4096
"""So many pieces occupy the largest GPU: 132 multiprocessors with 32 warps each."""
LOOK_EVERY = 4
"""Launches from one look at the stop tests to the next."""


def launches(iterations: int, check_every: int) -> Iterator[tuple[int, bool]]:
    """The steps of each launch, 1 or 2, and whether the stop test runs on the last of them."""
    done = 0
    while done < iterations:
        left = min(check_every - done % check_every, iterations - done)
        done += min(left, 2)
        yield min(left, 2), left <= 2


@dataclass(frozen=True)
class TritonSolver:
    """Solves a level; see ``extract.flow.tvl1.torch_engine.LevelSolver``.

    Attributes:
        kernels: the module ``triton_kernels``.
        block: see ``BLOCK``. Changes no value, nor do the next.
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
        pairs, height, width = first.shape
        strips = -(-width // self.kernels.OWNED.value)
        segment = self.segment or segment_rows(pairs * strips, height)
        programs = -(-strips * -(-height // segment) // self.group)
        state = flow.new_empty((2, 6, *first.shape))
        state[0, :2].copy_(flow)
        state[0, 2:].zero_()
        linear = flow.new_empty((4, *first.shape))
        status = torch.zeros((2, pairs), dtype=torch.int32, device=flow.device)
        sums = flow.new_empty((2, pairs, programs), dtype=torch.float64)
        limit = flow.new_full((1,), params.epsilon**2 * height * width, dtype=torch.float64)
        numbers = (params.lambda_ * params.theta, params.theta, params.tau / params.theta)
        size = (pairs, height, width)
        taps, first, turn = interleave(second), first.contiguous(), 0
        blocks = (-(-height * width // self.block), pairs)
        for _ in range(params.warps):
            self.kernels.linearise[blocks](
                *(first, taps, state, linear, status, turn, *size),
                **{"BLOCK": self.block, "num_warps": self.block // 32, "enable_fp_fusion": False},
            )
            turn, tested, watch = 1 - turn, False, Watch()
            for number, (steps, test) in enumerate(launches(iterations, params.check_every)):
                self.kernels.steps[(programs, pairs)](
                    *(state, linear, sums, status, limit, turn, int(tested), *size),
                    *(strips, segment, *numbers),
                    **{"STEPS": steps, "GROUP": self.group},
                    **{"num_warps": self.group, "enable_fp_fusion": False},
                )
                turn, tested = 1 - turn, test
                look = early and number % LOOK_EVERY == LOOK_EVERY - 1
                if look and watch.all_ended((status[turn] < self.kernels.ENDED.value).any()):
                    break
        newest = (status[turn] % self.kernels.ENDED.value)[:, None, None]
        return torch.where(newest == 0, state[0, :2], state[1, :2])


def segment_rows(strips: int, height: int) -> int:
    """Rows of a piece for ``strips`` strips of all pairs of a batch."""
    for rows in SEGMENTS:
        if strips * -(-height // rows) >= PIECES:
            return rows
    return SEGMENTS[-1]
