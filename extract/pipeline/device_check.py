"""A GPU proves itself: before its first use it computes what the CPU computes, to be compared.

A driver, a build of torch or a chip that computes wrongly raises no error. So a pair of frames and
a snippet are computed on both. If the results differ by more than the tolerance, or the GPU fails,
nothing runs on it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from extract.machine.devices import choose_device, rule_out

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
Work = Callable[[int], Array]


@dataclass(frozen=True)
class Sample:
    """Work by which two devices are compared.

    Attributes:
        name: what is computed.
        items: what it is counted in.
        prepare: gives for a device the work: results ``[count, ...]`` of a number of items.
        difference: of two results.
        tolerance: the largest difference that is accepted.
        unit: of the difference.
    """

    name: str
    items: str
    prepare: Callable[[str], Work]
    difference: Callable[[Array, Array], float]
    tolerance: float
    unit: str


@dataclass(frozen=True)
class Comparison:
    """A sample computed on a device and on the CPU.

    Attributes:
        sample: what was computed.
        difference: of the results; NaN if the device failed.
        speeds: items per second on the device and on the CPU, after a first call.
        error: why the device failed, else empty.
    """

    sample: Sample
    difference: float
    speeds: tuple[float, float] = (0, 0)
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the device computes what the CPU computes."""
        return self.difference <= self.sample.tolerance  # false for NaN

    def __str__(self) -> str:
        sample = self.sample
        if self.error:
            return f"{sample.name} fails: {self.error}"
        allowed = f"({sample.tolerance:g} allowed)"
        return f"{sample.name} differs by {self.difference:.2g} {sample.unit} {allowed}"


def _flow(device: str) -> Work:
    """TV-L1 flow of blurred noise ``[count + 1, 96, 128]`` that moves by 2 and 1 pixels a frame."""
    from extract.flow.tvl1.solver import tvl1

    def compute(count: int) -> Array:
        noise = np.random.default_rng(0).integers(0, 256, (104 + count, 136 + 2 * count))
        sums = noise.cumsum(0).cumsum(1)
        means = (sums[8:, 8:] - sums[:-8, 8:] - sums[8:, :-8] + sums[:-8, :-8]) // 64
        scene = np.clip((means - 128) * 4 + 128, 0, 255).astype(np.uint8)
        frames = [scene[n : n + 96, 2 * n : 2 * n + 128] for n in reversed(range(count + 1))]
        return tvl1(np.stack(frames), device=device)

    return compute


def _networks(device: str) -> Work:
    """Features ``[count, 2 D]`` of noise by both networks of the bundled small I3D."""
    from extract.inference.backbone import load_backbone

    backbone = load_backbone("i3d-mini", device=device)
    spec = backbone.spec

    def compute(count: int) -> Array:
        shape = (count, 3, spec.length, spec.crop, spec.crop)
        clips = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        return np.concatenate([backbone.rgb(clips), backbone.flow(clips[:, :2])], axis=1)

    return compute


def _end_point(one: Array, other: Array) -> float:
    return float(np.hypot(*(one - other).swapaxes(0, 1)).mean())


def _relative(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


SAMPLES = (
    Sample("optical flow", "pairs", _flow, _end_point, 0.02, "px"),
    Sample("features", "snippets", _networks, _relative, 1e-3, "of the largest"),
)
"""Tolerances as between the engines of flow, and as between machines."""


def compare(sample: Sample, device: str, count: int = 1) -> Comparison:
    """Compute a sample on a device and on the CPU."""
    try:
        found, speed = _timed(sample.prepare(device), count)
    except Exception as error:  # whatever a GPU fails with, the CPU can do the work
        reason = str(error).strip().partition("\n")[0]
        return Comparison(sample, float("nan"), error=f"{type(error).__name__}: {reason}")
    expected, cpu_speed = _timed(sample.prepare("cpu"), count)
    return Comparison(sample, sample.difference(found, expected), (speed, cpu_speed))


def _timed(work: Work, count: int) -> tuple[Array, float]:
    work(1)
    began = time.perf_counter()
    return work(count), count / (time.perf_counter() - began)


PROVEN: set[str] = set()
"""GPUs that have passed in this process."""


def proven_device(device: str = "auto", samples: Sequence[Sample] = SAMPLES) -> str:
    """`choose_device`, where a GPU computes the samples first unless it has passed before.

    If it fails, it is ruled out for this process: ``auto`` is the CPU, and a line says so.

    Raises:
        ExtractError: the device is not there, or a GPU asked for by name fails.
    """
    chosen = choose_device(device)
    if chosen == "cpu" or chosen in PROVEN:
        return chosen
    failed = [found for found in (compare(each, chosen) for each in samples) if not found.agrees]
    if not failed:
        PROVEN.add(chosen)
        return chosen
    reason = f"{chosen} does not compute what the CPU does: {failed[0]}"
    rule_out(chosen, reason)
    allowed = choose_device(device)  # refuses a GPU asked for by name
    log.warning("%s; everything runs on the CPU", reason)
    return allowed
