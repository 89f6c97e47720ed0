"""How the torch engine runs its two kernels: compiled by torch.compile, or as they are written.

Compilation joins some thirty passes over memory a step to a handful. It takes Triton on a GPU and a
C++ compiler on a CPU, and is never needed: where it fails, or gives other values than the plain
kernels on a small example, a line of the log says so and the plain ones are used.

On a CPU it is not the default. Measured on two shared cores: one to two minutes to compile (half a
minute from the kept code), and then 0.6 to 1.9 times the speed of plain steps, where the numba
engine has nine times and compiles in seconds. It has not been measured on a GPU.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.steps import Linear, State, fused_step, iterate
from extract.flow.tvl1.warp import interleave, linearise

log = logging.getLogger(__name__)

# Ask for the roundings that the kernels have when they are not compiled: no product fused with a
# sum, exact division, no flush of small numbers to zero. Older releases know only some of them.
OPTIONS: dict[str, str | int | bool] = {
    "emulate_precision_casts": True,
    "eager_numerics.division_rounding": True,
    "eager_numerics.disable_ftz": True,
    "cpp.enable_floating_point_contract_flag": "off",
}


class Kernels(NamedTuple):
    """The functions that do the work of a level.

    Attributes:
        linearise: see ``extract.flow.tvl1.warp.linearise``.
        step: a compiled ``fused_step``, or None for plain steps.
        early: whether a warp ends as soon as all pairs have met the stop test.
    """

    linearise: Callable[..., Linear]
    step: Callable[..., Any] | None
    early: bool = True


PLAIN = Kernels(linearise, None)
TOLERANCE = 1e-4
"""Compiled kernels whose flow of a small example is farther than this from plain ones, in pixels,
are not used."""


def choose_kernels(device: torch.device, compiled: bool | None = None) -> Kernels:
    """Compiled kernels where they are wanted and can be had, else the plain ones.

    Args:
        device: where they will run.
        compiled: None wants them on a GPU only: on a CPU the numba engine is the fast one.
    """
    wanted = device.type == "cuda" if compiled is None else compiled
    return _compiled(device) if wanted else PLAIN


@functools.lru_cache(maxsize=8)
def _compiled(device: torch.device) -> Kernels:
    try:
        known = torch._inductor.list_options()
        options = {name: value for name, value in OPTIONS.items() if name in known}
        compiled = functools.partial(torch.compile, dynamic=True, options=options)
        kernels = Kernels(compiled(linearise), compiled(fused_step))
        _try(kernels, device)
    except Exception as error:  # whatever stops a compiler, the plain kernels do the work
        reason = str(error).strip().partition("\n")[0]
        log.warning("flow kernels are not compiled: %s: %s", type(error).__name__, reason)
        return PLAIN
    return kernels


@torch.inference_mode()
def _try(kernels: Kernels, device: torch.device) -> None:
    """Compile for one pair and for several, and compare with the plain kernels.

    No two sizes are equal here, so that the code that is made is good for any.

    Raises:
        ArithmeticError: the values differ.
    """
    for pairs in (1, 5):
        rows = torch.arange(20, device=device)[:, None]
        waves = torch.sin(rows + torch.arange(28, device=device) + rows[:pairs, :, None])
        first, second = 99 + 50 * waves, 99 + 50 * waves.roll(1, -1)
        plain, compiled = (_one_warp(first, second, each) for each in (PLAIN, kernels))
        if not torch.allclose(plain, compiled, rtol=0, atol=TOLERANCE):
            raise ArithmeticError("compiled flow differs from plain flow")


def _one_warp(first: torch.Tensor, second: torch.Tensor, kernels: Kernels) -> torch.Tensor:
    state = State(first.new_zeros((2, *first.shape)))
    linear = kernels.linearise(first, interleave(second), state.flow)
    # The last step of three is not measured, the second is: both kinds are compiled.
    iterate(state, linear, TVL1Params(check_every=2), 3, kernels.step)
    return state.flow
