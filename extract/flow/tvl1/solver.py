"""TV-L1 optical flow (Zach, Pock and Bischof 2007) in the variant behind published I3D features.

Engines: numba on a CPU (`extract.flow.tvl1.numba_engine`), torch on a GPU
(`extract.flow.tvl1.torch_engine`, with fused kernels if Triton can launch them). All do the same
operations in the same order, each rounded on its own, and give the same bits. This matters: where
the flow is ill-defined (occlusion, motion blur), it amplifies a difference in the last digit to
pixels, 0.03 px in the mean of a frame.

The variant is OpenCV's CUDA class, which fed the published two-stream networks: no median filter on
the flow, the second image warped with a bicubic kernel (a = -0.5), gradients by central
differences, and dual variables kept from warp to warp within a level.

It departs from that class as follows. Figures are mean end-point differences from OpenCV 5's CPU
class (median filter off) over 21 pairs of real video, short side 256, by
``tests/benchmarks/flow.py``. With OpenCV's number of steps the difference is 0.052 px, which comes
from OpenCV's coarser interpolation: on known motion its error is about twice ours.

- At most 30 steps per warp instead of 300 on the finest level, which takes most of the time:
  0.057 px. On the coarser levels, 300 cost next to nothing, because the stop test ends most warps
  long before, and large motions need them: with 60, a motion of 20 px had twice OpenCV's error.
- The stop test runs on every second step, because engines take two steps in one pass over memory.
  No difference.
- Where the flow points out of the frame there is no data term, and smoothness alone determines the
  flow, as in OpenCV's CPU class. The CUDA class repeats the border there, which was further from
  the reference, and had many times the error near the border on large known motions.
- The division by the squared gradient is done once per warp, and the threshold is a clip: the same
  number up to rounding.

Each pair starts from zero flow. Starting from the flow of the previous pair saved a tenth of the
time, but left up to 0.3 px of the old motion at abrupt changes (an archer's release), where as many
warps from zero flow were 0.12 px off.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.errors import ExtractError
from extract.flow.tvl1.params import TVL1Params, params_with
from extract.machine.device_check import Sample, checked_device
from extract.machine.devices import choose_device
from extract.machine.numba_cache import works

log = logging.getLogger(__name__)

ENGINES = ("auto", "numba", "torch")
TOLERANCE = 1e-3
"""Largest difference in pixels between the two engines on a small pair."""


@dataclass(frozen=True)
class Engine:
    """A solver, and its device as torch names it."""

    name: Literal["numba", "torch"]
    device: str

    def __str__(self) -> str:
        return f"{self.name} on {self.device}"


def choose_engine(device: str = "auto", engine: str = "auto") -> Engine:
    """Choose the solver; by default torch on a GPU and numba on a CPU.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda[:N]``.
        engine: ``auto``, ``numba`` (CPU only) or ``torch``.

    Raises:
        ExtractError: the engine is unknown, there is no such device, or it cannot run the engine.
    """
    if engine not in ENGINES:
        raise ExtractError(f"unknown flow engine {engine!r}; choose one of {', '.join(ENGINES)}")
    if engine == "numba" and device == "auto":
        return Engine("numba", "cpu")
    chosen = choose_device(device)
    if chosen == "cpu":
        return Engine("torch" if engine == "torch" else "numba", "cpu")
    if engine == "numba":
        raise ExtractError("the numba flow engine runs on a CPU only; use the torch engine")
    return Engine("torch", chosen)


@functools.cache
def numba_works() -> bool:
    """Whether the numba engine compiles and agrees with torch's; if not, one warning is logged."""
    return works(_compare_engines, "TV-L1 flow", "the slower torch engine")


def _compare_engines() -> bool:
    params = TVL1Params(scales=2, warps=1, iterations=4)
    rows, columns = np.mgrid[:20, :28]
    images = np.stack([99 + 50 * np.sin(rows + columns / (3 + n)) for n in range(2)])
    found, expected = (
        solve(images.astype(np.float32), Engine(name, "cpu"), params, threads=1)
        for name in ("numba", "torch")
    )
    return bool(np.allclose(found, expected, rtol=0, atol=TOLERANCE))


def working_engine(engine: Engine) -> Engine:
    """The engine, or torch on a CPU if numba's does not work."""
    return engine if engine.name == "torch" or numba_works() else Engine("torch", "cpu")


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


def _flow_of_moving_noise(device: str) -> Callable[[int], NDArray[np.float32]]:
    """Flow of blurred noise ``[count + 1, 96, 128]`` that moves by 2 and 1 pixels per frame."""
    engine = working_engine(choose_engine(device))

    def compute(count: int) -> NDArray[np.float32]:
        noise = np.random.default_rng(0).integers(0, 256, (104 + count, 136 + 2 * count))
        sums = noise.cumsum(0).cumsum(1)
        means = (sums[8:, 8:] - sums[:-8, 8:] - sums[8:, :-8] + sums[:-8, :-8]) // 64
        scene = np.clip((means - 128) * 4 + 128, 0, 255)
        frames = [scene[n : n + 96, 2 * n : 2 * n + 128] for n in reversed(range(count + 1))]
        return solve(np.stack(frames).astype(np.float32), engine, TVL1Params())

    return compute


def _end_point_difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.hypot(*(one - other).swapaxes(0, 1)).mean())


FLOW_SAMPLE = Sample(
    "optical flow", "pairs", _flow_of_moving_noise, _end_point_difference, tolerance=0.02, unit="px"
)


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
        device: ``auto``, ``cpu`` or ``cuda[:N]``. A GPU is checked at its first use.
        engine: ``auto``, ``numba`` or ``torch``.
        threads: of the numba engine (default: all cores, or torch's number if lower). Changes no
            value.
        **params: fields of ``TVL1Params``.

    Returns:
        ``[N, 2, H, W] float32``, pixels per frame, u (right) then v (down): the motion that takes
        a pixel of frame n to its place in frame n+1. N = 0 gives an empty array.

    Raises:
        ExtractError: a bad frame array, an unknown parameter, no such device, or a GPU that
            computes wrongly.
    """
    settings = params_with(params)
    images = check_frames(frames)
    if engine != "numba":
        device = checked_device(device, (FLOW_SAMPLE,))
    chosen = choose_engine(device, engine)
    chosen = working_engine(chosen) if engine == "auto" else chosen
    log.info("TV-L1 flow by %s", chosen)
    return solve(images, chosen, settings, threads=threads)


def solve(
    images: NDArray[np.float32],
    engine: Engine,
    params: TVL1Params,
    *,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """``tvl1`` on checked frames with a chosen engine."""
    if engine.name == "numba":
        from extract.flow.tvl1 import numba_engine

        return numba_engine.solve_pairs(images, params, threads=threads)
    from extract.flow.tvl1 import torch_engine

    return torch_engine.solve_pairs(images, params, device=engine.device)
