"""TV-L1 optical flow (Zach, Pock and Bischof 2007) in the variant published I3D features used.

``tvl1`` is the public function. It checks its input, chooses an engine and hands over: the numba
engine (``extract.flow.tvl1.cpu``) on a CPU, the torch engine (``extract.flow.tvl1.torch_engine``)
on a GPU. Both do the same operations in the same order, each rounded by itself, and give the same
bits on a CPU. That matters: where the flow has no good answer (an occlusion, a motion blur) it
amplifies the last digit to pixels, 0.03 px in the mean of a frame: engines that round differently
differ visibly.

The variant is that of OpenCV's CUDA class, with which the published two-stream networks were fed:
no median filter on the flow, the second image warped by a bicubic kernel (a = -0.5), gradients by
central differences, and dual variables kept from warp to warp within a scale.

Where it departs from that class, with the mean end-point difference to OpenCV 5's CPU class (median
filter off) over 21 pairs of real video, short side 256, as ``tests/benchmarks/flow.py`` prints it.
With OpenCV's number of steps it is 0.052 px; what remains is OpenCV's coarser interpolation: on
known motion its error is about twice ours.

- At most 30 steps a warp for 300 on the finest level, where most of the time goes: 0.057 px. On the
  coarser levels 300 cost next to nothing, as the stop test ends most warps long before, and a
  large motion needs them: with 60, one of 20 px ended with twice OpenCV's error.
- The stop test runs on every second step, as the CPU engine takes two in one pass over memory.
  No difference.
- Where the flow leads out of the frame there is no data term and smoothness alone carries the flow,
  as in OpenCV's CPU class. The CUDA class repeats the border there, which came out further from the
  reference, and with many times the error near the border where a large motion is known.
- The division by the squared gradient is prepared once a warp and the threshold is a clip; the same
  number up to rounding.

``warm_start`` begins a pair from its predecessor's flow. No method uses it by default: it saved a
tenth of the time and left up to 0.3 px of the old motion where motion changes abruptly (an archer's
release), where the same number of warps begun cold was 0.12 px off.
"""

import itertools
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.errors import ExtractError

log = logging.getLogger(__name__)

ENGINES = ("auto", "numba", "torch")
MIN_SIDE = 16
"""No pyramid level has a side below this many pixels (as in OpenCV)."""


@dataclass(frozen=True)
class TVL1Params:
    """Parameters of the solver; the defaults of OpenCV's CUDA class where not stated otherwise.

    Attributes:
        tau: time step of the dual update.
        lambda_: weight of the data term; smaller gives smoother flow.
        theta: coupling of the two half-problems.
        scales: pyramid levels, fewer for frames whose side would fall below 16 pixels.
        warps: linearisations of the second image per level.
        iterations: at most this many primal-dual steps per warp, but on the finest level.
        finest_iterations: at most this many on the finest level.
        epsilon: a warp ends when the mean square change of the flow in one step falls to
            ``epsilon ** 2`` (pixels squared).
        scale_step: size of a level relative to the next finer one.
        check_every: the stop test runs on every n-th step.
        warm_start: begin a pair from the flow of the pair before it, within a snippet.
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
    warm_start: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Integral if field.type is int else Real):
                raise ExtractError(f"flow parameter {field.name} cannot be {value!r}")
        for name in ("tau", "lambda_", "theta"):
            # Far beyond what is of use, and narrow enough for float32 never to overflow.
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
        """Most steps of a warp on a pyramid level, 0 being the finest."""
        return self.iterations if level else self.finest_iterations


def params_with(base: TVL1Params, changes: dict[str, Any]) -> TVL1Params:
    """``base`` with some values changed.

    Raises:
        ExtractError: a name is unknown or a value impossible.
    """
    known = [field.name for field in fields(TVL1Params)]
    for name in changes:
        if name not in known:
            raise ExtractError(f"unknown flow parameter {name!r}; known are {', '.join(known)}")
    return replace(base, **changes)


@dataclass(frozen=True)
class Engine:
    """Which solver runs where: ``name`` is numba or torch, ``device`` as torch writes it."""

    name: Literal["numba", "torch"]
    device: str

    def __str__(self) -> str:
        return f"{self.name} on {self.device}"


def choose_engine(device: str = "auto", engine: str = "auto") -> Engine:
    """Choose the solver: torch on a GPU, numba on a CPU, unless the caller decides.

    Args:
        device: ``auto`` (the GPU where there is one), ``cpu`` or ``cuda[:N]``.
        engine: ``auto``, ``numba`` (CPU only) or ``torch``.

    Raises:
        ExtractError: the engine is unknown, or the device is not there or cannot run it.
    """
    if engine not in ENGINES:
        raise ExtractError(f"unknown flow engine {engine!r}; choose one of {', '.join(ENGINES)}")
    if engine == "numba" and device == "auto":
        return Engine("numba", "cpu")
    if device == "cpu":
        return Engine("torch" if engine == "torch" else "numba", "cpu")
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return choose_engine(device, engine)
    if not device.startswith("cuda"):
        raise ExtractError(f"unknown device {device!r}; choose auto, cpu or cuda[:N]")
    if not torch.cuda.is_available():
        raise ExtractError(f"device {device} is not available on this machine; use --device cpu")
    if engine == "numba":
        raise ExtractError("the numba flow engine runs on a CPU only; use the torch engine")
    return Engine("torch", device)


def pyramid_sizes(height: int, width: int, params: TVL1Params) -> list[tuple[int, int]]:
    """Heights and widths of the pyramid levels, finest first.

    A level is the rounded product of the level above and ``scale_step``; a level with a side below
    16 pixels is left out with all coarser ones.
    """
    sizes = [(height, width)]
    while len(sizes) < params.scales:
        # Halves go to the even neighbour, as OpenCV's rounding does.
        h, w = (round(side * params.scale_step) for side in sizes[-1])
        if h < MIN_SIDE or w < MIN_SIDE:
            break
        sizes.append((h, w))
    return sizes


def chains(pairs: int, params: TVL1Params, resets: Sequence[int] = ()) -> list[range]:
    """Runs of pairs of which each needs the one before: single pairs unless starts are warm.

    Args:
        pairs: how many there are.
        params: solver settings.
        resets: pairs that begin afresh; the first always does.
    """
    if not params.warm_start:
        return [range(n, n + 1) for n in range(pairs)]
    starts = sorted({0, *resets} & set(range(pairs)))
    return [range(*ends) for ends in itertools.pairwise([*starts, pairs])]


def check_frames(frames: ArrayLike) -> NDArray[np.float32]:
    """Grey frames as contiguous ``[N+1, H, W] float32`` in 0..255.

    Raises:
        ExtractError: wrong shape or type, no pixels, NaN or infinity.
    """
    array = np.asarray(frames)
    if array.ndim != 3 or 0 in array.shape:
        raise ExtractError(f"flow needs grey frames [N+1, H, W], got shape {array.shape}")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise ExtractError(f"flow needs uint8 or float frames, got {array.dtype}")
    if array.dtype != np.uint8:
        if not np.isfinite(array).all():
            raise ExtractError("flow frames hold NaN or infinity")
        if array.min() < 0 or array.max() > 255:
            raise ExtractError("float flow frames must lie in 0..255, the scale of 8-bit video")
    return np.ascontiguousarray(array, dtype=np.float32)


def default_threads() -> int:
    """Threads the CPU engine uses: the CPUs this process may run on, or torch's number if lower.

    A worker process that limits torch's threads thereby limits this engine too.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch = sys.modules.get("torch")
    return min(cpus, torch.get_num_threads()) if torch is not None else cpus


def tvl1(
    frames: ArrayLike,
    device: str = "auto",
    engine: str = "auto",
    *,
    threads: int | None = None,
    **params: Any,
) -> NDArray[np.float32]:
    """Optical flow between consecutive frames, each pair on its own.

    Args:
        frames: grey, ``[N+1, H, W]``, uint8 or float in 0..255.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        engine: ``auto``, ``numba`` or ``torch``.
        threads: of the numba engine; by default as ``default_threads`` says. Changes no value.
        **params: fields of ``TVL1Params``.

    Returns:
        ``[N, 2, H, W] float32``, pixels per frame, u (right) then v (down): the motion that takes
        a pixel of frame n to its place in frame n+1. N = 0 gives an empty array.

    Raises:
        ExtractError: a bad frame array, an unknown parameter, or a device that is not there.
    """
    settings = params_with(TVL1Params(), params)
    images = check_frames(frames)
    chosen = choose_engine(device, engine)
    log.info("TV-L1 flow by %s", chosen)
    return solve(images, chosen, settings, threads=threads)


def solve(
    images: NDArray[np.float32],
    engine: Engine,
    params: TVL1Params,
    *,
    threads: int | None = None,
    resets: Sequence[int] = (),
) -> NDArray[np.float32]:
    """``tvl1`` on checked frames with a chosen engine; ``resets`` as in ``chains``."""
    runs = chains(len(images) - 1, params, resets)
    if engine.name == "numba":
        from extract.flow.tvl1 import cpu

        return cpu.solve_pairs(images, params, runs, threads=threads)
    from extract.flow.tvl1.torch_engine import solve_pairs

    return solve_pairs(images, params, runs, device=engine.device)
