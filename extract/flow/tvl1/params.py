"""Parameters of TV-L1 and sizes of its pyramid."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from extract.errors import ExtractError

MIN_SIDE = 16
"""No pyramid level has a side below this many pixels (as in OpenCV)."""
BORDER = 2
"""Pixels by which the second image is extended, so that no tap of the warp falls outside."""


@dataclass(frozen=True)
class TVL1Params:
    """Parameters of the solver. Defaults are those of OpenCV's CUDA class unless stated otherwise.

    Attributes:
        tau: time step of the dual update.
        lambda_: weight of the data term; smaller gives smoother flow.
        theta: coupling of the two subproblems.
        scales: pyramid levels; fewer if a side would fall below 16 pixels.
        warps: linearisations of the second image per level.
        iterations: maximum of primal-dual steps per warp, except on the finest level.
        finest_iterations: the maximum on the finest level (OpenCV: 300).
        epsilon: a warp stops when the mean square change of the flow in one step falls to
            ``epsilon ** 2`` (pixels squared).
        scale_step: size of a level relative to the next finer one.
        check_every: the stop test runs on every n-th step.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    warps: int = 5
    iterations: int = 300
    finest_iterations: int = 30
    epsilon: float = 0.01
    scale_step: float = 0.8
    check_every: int = 2

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Integral if field.type is int else Real):
                raise ExtractError(f"flow parameter {field.name} cannot be {value!r}")
        for name in ("tau", "lambda_", "theta"):
            # Far wider than useful, and narrow enough that float32 never overflows.
            if not 1e-6 <= getattr(self, name) <= 1e6:
                raise ExtractError(f"flow parameter {name} must lie between 1e-6 and 1e6")
        for name in ("scales", "warps", "iterations", "finest_iterations", "check_every"):
            if getattr(self, name) < 1:
                raise ExtractError(f"flow parameter {name} must be at least 1")
        if not 0 < self.scale_step < 1:
            raise ExtractError("flow parameter scale_step must lie between 0 and 1")
        if not 0 <= self.epsilon < float("inf"):
            raise ExtractError("flow parameter epsilon must be a number from 0")

    def steps(self, level: int) -> int:
        """Maximum of steps per warp on a pyramid level; 0 is the finest."""
        return self.iterations if level else self.finest_iterations


def params_with(changes: Mapping[str, Any]) -> TVL1Params:
    """The default parameters with some values changed.

    Raises:
        ExtractError: a name is unknown or a value impossible.
    """
    known = [field.name for field in fields(TVL1Params)]
    for name in changes:
        if name not in known:
            raise ExtractError(f"unknown flow parameter {name!r}; known are {', '.join(known)}")
    return TVL1Params(**changes)


def pyramid_sizes(height: int, width: int, params: TVL1Params) -> list[tuple[int, int]]:
    """Heights and widths of the pyramid levels, finest first.

    A level is the next finer one times ``scale_step``, rounded. A level with a side below 16 pixels
    is left out, and so are all coarser ones.
    """
    sizes = [(height, width)]
    while len(sizes) < params.scales:
        # Halves round to even, as in OpenCV.
        h, w = (round(side * params.scale_step) for side in sizes[-1])
        if h < MIN_SIDE or w < MIN_SIDE:
            break
        sizes.append((h, w))
    return sizes
