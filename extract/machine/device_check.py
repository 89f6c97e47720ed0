"""Check of a GPU before its first use: it must compute what the CPU computes.

A driver, a build of torch or a chip that computes wrongly raises no error. So a small sample is
computed on both. If the results differ by more than the tolerance, or the GPU fails, nothing runs
on it.
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
        items: what it is counted in, for speeds.
        prepare: returns for a device a function that computes ``[count, ...]`` for ``count`` items.
        difference: between two results.
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
        difference: between the results; NaN if the device failed.
        speeds: items per second on the device and on the CPU, after a first call.
        error: why the device failed, or empty.
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


PASSED: set[tuple[str, Sample]] = set()
"""Checks that GPUs have passed in this process."""


def checked_device(device: str, samples: Sequence[Sample]) -> str:
    """`choose_device`, but a GPU must compute the samples correctly, once per process.

    A GPU that fails is ruled out for this process: ``auto`` becomes the CPU, and a warning says so.

    Raises:
        ExtractError: there is no such device, or a GPU asked for by name fails.
    """
    chosen = choose_device(device)
    if chosen == "cpu":
        return chosen
    for sample in samples:
        if (chosen, sample) in PASSED:
            continue
        found = compare(sample, chosen)
        if not found.agrees:
            reason = f"{chosen} does not compute what the CPU does: {found}"
            rule_out(chosen, reason)
            allowed = choose_device(device)  # refuses a GPU asked for by name
            log.warning("%s; everything runs on the CPU", reason)
            return allowed
        PASSED.add((chosen, sample))
    return chosen
