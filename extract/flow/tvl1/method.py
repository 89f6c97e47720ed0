"""TV-L1 as a flow method: ``tvl1``, and ``tvl1-fast`` with fewer warps."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.flow.tvl1.params import params_with
from extract.flow.tvl1.solver import Engine, check_frames, choose_engine, solve, working_engine

if TYPE_CHECKING:
    from torch import Tensor

    from extract.flow.tvl1.torch_engine import Execution


class TVL1Flow:
    """TV-L1, see ``extract.flow.tvl1.solver``.

    Args:
        overrides: fields of ``TVL1Params`` that differ from its defaults.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.

    Raises:
        ExtractError: an unknown parameter, an invalid value, or no such device.
    """

    name = "tvl1"
    max_warps: int | None = None
    """The most warps, whatever a backbone sets."""
    execution: "Execution | None" = None
    """Options of the torch engine for tensors; None takes its defaults. Changes no value."""

    def __init__(self, overrides: Mapping[str, Any], device: str = "auto") -> None:
        params = params_with(overrides)
        self.params = replace(params, warps=min(params.warps, self.max_warps or params.warps))
        self._chosen = choose_engine(device)
        self.single_thread_per_pair = self._chosen.name == "numba"

    @functools.cached_property
    def _engine(self) -> Engine:
        return working_engine(self._chosen)

    @property
    def engine(self) -> str:
        """For example ``numba 0.61.0 on cpu`` or ``torch 2.6.0, triton 3.2.0 on cuda``."""
        from importlib.metadata import version

        libraries = [self._engine.name] + ["triton"] * self._is_fused()
        # Without the GPU's number, so that equal work on another GPU gives an equal file.
        device = self._engine.device.partition(":")[0]
        return ", ".join(f"{name} {version(name)}" for name in libraries) + f" on {device}"

    def _is_fused(self) -> bool:
        if self._engine.name == "numba":
            return False
        import torch

        from extract.flow.tvl1.torch_engine import level_solver, plain_level

        return level_solver(torch.device(self._engine.device)) is not plain_level

    def settings(self) -> dict[str, Any]:
        """``{"method": name, "tau": ..., ...}``."""
        return {"method": self.name, **asdict(self.params)}

    def compute(self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``FlowMethod.compute``; the colours are not used."""
        return solve(check_frames(grey), self._engine, self.params)

    def compute_on_device(self, grey: "Tensor", rgb: "Tensor") -> "Tensor":
        """See ``FlowMethod.compute_on_device``; by the torch engine on any device."""
        from extract.flow.tvl1.torch_engine import solve_tensors

        return solve_tensors(grey.float(), self.params, self.execution)


class FastTVL1Flow(TVL1Flow):
    """TV-L1 with fewer warps."""

    name = "tvl1-fast"
    max_warps = 2
