"""Work for a process in which TRITON_INTERPRET=1: kernels run in Triton's interpreter."""

import torch

from extract.flow.tvl1.torch_engine import Execution, check_level, solve_pairs
from extract.flow.tvl1.triton_engine import TritonSolver


def solver(group, segment):
    from extract.flow.tvl1 import triton_kernels

    torch.set_num_threads(1)
    return TritonSolver(triton_kernels, 1024, group, segment)


def solve(images, params, group, segment, early):
    """Flow by the kernels, all pairs in one batch."""
    return solve_pairs(
        images, params, execution=Execution(len(images), solver(group, segment), early)
    )


def check():
    check_level(solver(64, 1), torch.device("cpu"))


def start():
    import triton

    assert triton.knobs.runtime.interpret
