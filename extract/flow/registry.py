"""Optical flow methods by name, as ``basnet extract --flow`` offers them.

A method is one class in a file of its own and one entry of ``METHODS``. ``tvl1`` is what the
published flow network was trained on and the default. ``tvl1-fast`` takes 2 warps for 5: 1.7 times
as fast, and 0.03 to 0.12 px from ``tvl1`` on four real clips. ``raft`` is torchvision's network,
which the flow network has never seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

if TYPE_CHECKING:
    from torch import Tensor


class FlowMethod(Protocol):
    """A way to compute flow between consecutive frames, each pair on its own.

    Attributes:
        name: what users call it.
        pair_a_thread: whether several threads may compute at a time, each of them other pairs.
    """

    name: str
    pair_a_thread: bool

    @property
    def engine(self) -> str:
        """What computes it, a fact for the feature file: library, version and device."""
        ...

    def settings(self) -> dict[str, Any]:
        """Name and every parameter that influences values, for the feature file."""
        ...

    def compute(self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Flow of each pair.

        Args:
            grey: ``[N+1, H, W]``.
            rgb: the same frames ``[N+1, H, W, 3]``.

        Returns:
            ``[N, 2, H, W] float32``, pixels per frame, u then v.
        """
        ...

    def compute_there(self, grey: "Tensor", rgb: "Tensor") -> "Tensor":
        """`compute` on tensors, by torch on the device that holds them: nothing leaves it."""
        ...


@dataclass(frozen=True)
class FlowOptions:
    """What a method may be told.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        overrides: parameters that a backbone asks for (a short schedule for small frames).
        threads: processor threads; None leaves it to the engine. Changes no value.
    """

    device: str = "auto"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None


def _tvl1(options: FlowOptions) -> FlowMethod:
    from extract.flow.tvl1.method import TVL1Flow

    return TVL1Flow(options.overrides, options.device, options.threads)


def _tvl1_fast(options: FlowOptions) -> FlowMethod:
    from extract.flow.tvl1.method import FastTVL1Flow

    return FastTVL1Flow(options.overrides, options.device, options.threads)


def _raft(options: FlowOptions) -> FlowMethod:
    from extract.flow.raft import RAFTFlow

    return RAFTFlow(options.device)  # it has none of the parameters that a backbone may ask for


METHODS: dict[str, Callable[[FlowOptions], FlowMethod]] = {
    "tvl1": _tvl1,
    "tvl1-fast": _tvl1_fast,
    "raft": _raft,
}


def flow_method(
    name: str,
    *,
    device: str = "auto",
    overrides: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> FlowMethod:
    """The flow method of that name, ready to compute.

    Args:
        name: one of ``METHODS``.
        device: see `FlowOptions`, as the next two.
        overrides: parameters that differ from the method's defaults.
        threads: processor threads.

    Raises:
        ExtractError: an unknown name, parameter or device.
        WeightsError: RAFT's weights are not there.
    """
    if name not in METHODS:
        raise ExtractError(f"unknown flow method {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name](FlowOptions(device, overrides or {}, threads))
