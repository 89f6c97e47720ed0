"""Optical flow methods by name, as ``basnet extract --flow`` offers them.

A method is a class in its own file and an entry of ``METHODS``. ``tvl1``, the default, is what the
published flow network was trained on. ``tvl1-fast`` takes 2 warps instead of 5: it is 1.7 times as
fast, and differs from ``tvl1`` by 0.03 to 0.12 px on four real clips. ``raft`` is torchvision's
network, which the flow network has never seen.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

if TYPE_CHECKING:
    from torch import Tensor


class FlowMethod(Protocol):
    """Computes flow between consecutive frames, each pair independently.

    Attributes:
        name: as on the command line.
        single_thread_per_pair: whether a pair takes one thread; otherwise a call uses all.
    """

    name: str
    single_thread_per_pair: bool

    @property
    def engine(self) -> str:
        """Library, version and device, recorded in the feature file."""
        ...

    def settings(self) -> dict[str, Any]:
        """Name and every parameter that influences values, recorded in the feature file."""
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

    def compute_on_device(self, grey: "Tensor", rgb: "Tensor") -> "Tensor":
        """`compute` on tensors, on the device that holds them; nothing is copied from it."""
        ...


def _tvl1(overrides: Mapping[str, Any], device: str) -> FlowMethod:
    from extract.flow.tvl1.method import TVL1Flow

    return TVL1Flow(overrides, device)


def _tvl1_fast(overrides: Mapping[str, Any], device: str) -> FlowMethod:
    from extract.flow.tvl1.method import FastTVL1Flow

    return FastTVL1Flow(overrides, device)


def _raft(overrides: Mapping[str, Any], device: str) -> FlowMethod:
    from extract.flow.raft import RAFTFlow

    return RAFTFlow(device)  # a backbone overrides parameters of TV-L1 only


METHODS: dict[str, Callable[[Mapping[str, Any], str], FlowMethod]] = {
    "tvl1": _tvl1,
    "tvl1-fast": _tvl1_fast,
    "raft": _raft,
}


def flow_method(
    name: str, *, device: str = "auto", overrides: Mapping[str, Any] | None = None
) -> FlowMethod:
    """Make a flow method ready to compute.

    Args:
        name: a key of ``METHODS``.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        overrides: parameters that a backbone sets, such as fewer steps for small frames.

    Raises:
        ExtractError: an unknown name, parameter or device.
        WeightsError: RAFT's weights are missing.
    """
    if name not in METHODS:
        raise ExtractError(f"unknown flow method {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name](overrides or {}, device)
