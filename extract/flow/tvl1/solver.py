"""TV-L1 optical flow (Zach, Pock and Bischof 2007) in the variant published I3D features used.

``tvl1`` is the public function. It checks its input, chooses an engine and hands over: the numba
engine (`extract.flow.tvl1.numba_engine`) on a CPU, the torch engine
(`extract.flow.tvl1.torch_engine`) on a GPU. Both do the same operations in the same order, each
rounded by itself, and give the same bits on a CPU. That matters: where the flow has no good answer
(an occlusion, a motion blur) it amplifies the last digit to pixels, 0.03 px in the mean of a frame:
engines that round differently differ visibly.

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

Each pair begins from no motion. Beginning from the flow of the pair before was tried: it saved a
tenth of the time and left up to 0.3 px of the old motion where motion changes abruptly (an archer's
release), where the same number of warps from no motion was 0.12 px off.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.errors import ExtractError
from extract.flow.tvl1.params import TVL1Params, params_with
from extract.machine.devices import choose_device

log = logging.getLogger(__name__)

ENGINES = ("auto", "numba", "torch")


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
    chosen = choose_device(device)
    if chosen == "cpu":
        return Engine("torch" if engine == "torch" else "numba", "cpu")
    if engine == "numba":
        raise ExtractError("the numba flow engine runs on a CPU only; use the torch engine")
    return Engine("torch", chosen)


def working_engine(engine: Engine) -> Engine:
    """The engine, or torch's on a CPU where numba cannot run its own; a line says so once."""
    from extract.flow.tvl1.example import numba_works

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
        threads: of the numba engine; by default all cores, or torch's number if lower. Changes no
            value.
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
