"""How the torch engine runs its two kernels: compiled by torch.compile, or as they are written.

Compilation joins some forty passes over memory to a handful, which pays on a GPU. It needs
Triton there (and a C++ compiler on a CPU) and is never needed: where it fails, a line of the log
says so and the plain kernels, which come to the same values, are used.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from extract.flow_tvl1 import TVL1Params
from extract.tvl1_steps import Linear, State, fused_step, iterate
from extract.tvl1_warp import interleave, linearise

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
        linearise: see ``extract.tvl1_warp.linearise``.
        step: a compiled ``fused_step``, or None for plain steps.
    """

    linearise: Callable[..., Linear]
    step: Callable[..., Any] | None


PLAIN = Kernels(linearise, None)


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
    """Compile for one pair and for several; sides then are free, as no two sizes here are equal."""
    params = TVL1Params(check_every=2)
    for pairs in (1, 5):
        first = torch.zeros((pairs, 20, 28), device=device)
        state = State(torch.zeros((2, pairs, 20, 28), device=device))
        linear = kernels.linearise(first, interleave(first), state.flow)
        iterate(state, linear, params, 3, kernels.step)
