"""What computes a backbone: torch on any device; on a CPU also OpenVINO, or Winograd's filtering.

OpenVINO is an extra, and taken for the networks that it computes at least 1.2 times as fast as
torch on a CPU, as ``tests/benchmarks/backbones.py`` prints it. Winograd's minimal filtering
(`extract.backbones.winograd`) is part of this package and computes Inception-I3D, whose other
layers are torch's.

All compute in float32, on GPUs too unless another precision is asked for
(`extract.inference.precision`), and agree to 1e-3 relative. Rounding as autocast does moves I3D's
feature of a real clip by 1.2e-3 of its largest value in float16 and by 1.5e-2 in bfloat16.
"""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from extract.inference.batching import cpu_batch
from extract.machine.devices import choose_device

if TYPE_CHECKING:
    from torch import Tensor, nn

RUNTIMES = ("torch", "openvino", "winograd")
ON_CPU = RUNTIMES[1:]


class Runtime(Protocol):
    """A network ready to run."""

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``, any N."""
        ...

    def run_there(self, clips: "Tensor") -> "Tensor":
        """The same of tensors, with the features on the device that computes."""
        ...


@dataclass(frozen=True)
class Choice:
    """What computes: ``name`` is one of ``RUNTIMES``, ``device`` as torch names it."""

    name: str
    device: str

    def describe(self) -> str:
        """Name, version and kind of device, for the log and the feature file."""
        library, how = self.name, ""
        if library == "winograd":
            from extract.inference.winograd.example import winograd_works

            library, how = "torch", " winograd" if winograd_works() else ""
        version = importlib.metadata.version(library).split("+")[0]
        return f"{library} {version}{how} {self.device.partition(':')[0]}"


def choose_runtime(runtime: str = "auto", device: str = "auto", on_cpu: str = "torch") -> Choice:
    """Decide what computes.

    Args:
        runtime: ``auto``, ``torch``, ``openvino`` or ``winograd``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        on_cpu: what ``auto`` takes on a CPU where it is installed, see
            `extract.backbones.spec.BackboneRecord.on_cpu`.

    Raises:
        ExtractError: an unknown runtime or device, or one that is not there.
    """
    if runtime not in ("auto", *RUNTIMES):
        raise ExtractError(
            f"no runtime '{runtime}'; choose auto, {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}"
        )
    chosen = choose_device(device)
    installed = importlib.util.find_spec("openvino") is not None
    if runtime == "openvino" and not installed:
        raise ExtractError(
            "openvino is not installed; install the extra: pip install basnet-e2e[cpu]"
        )
    if runtime == "winograd" and on_cpu != "winograd":
        raise ExtractError("the winograd runtime computes I3D of the published size only; use auto")
    if runtime in ON_CPU:
        if device not in ("auto", "cpu"):
            raise ExtractError(f"the {runtime} runtime computes on a CPU only; drop --device cuda")
        return Choice(runtime, "cpu")
    if runtime == "auto" and chosen == "cpu" and (installed or on_cpu != "openvino"):
        return Choice(on_cpu, "cpu")
    return Choice("torch", chosen)


def make_runtime(
    network: "nn.Module",
    shape: tuple[int, ...],
    *,
    choice: Choice,
    frames: int | None = None,
    step: int = 1,
    threads: int | None = None,
    precision: str = "float32",
) -> Runtime:
    """Prepare a network in inference mode for clips of one shape.

    Args:
        network: see `extract.backbones.spec.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        choice: what computes.
        frames: frames of a clip that the network sees, spread evenly; None for all.
        step: it sees every step-th of a clip's frames.
        threads: CPU threads; None leaves them.
        precision: one that the device has, see `extract.inference.precision`.
    """
    rows = None if frames is None else spread(shape[1], frames)
    if step > 1:
        rows = np.arange(0, shape[1], step)
    seen = (shape[0], shape[1] if rows is None else len(rows), *shape[2:])
    runtime: Runtime
    if choice.name == "openvino":
        from extract.inference.openvino_runtime import OpenVINORuntime

        runtime = OpenVINORuntime(network, seen, cpu_batch(seen), threads)
    else:
        from extract.inference.torch_runtime import TorchRuntime

        winograd = choice.name == "winograd"
        runtime = TorchRuntime(
            network, seen, choice.device, threads, winograd=winograd, precision=precision
        )
    return runtime if rows is None else _FrameSampler(runtime, rows)


def spread(length: int, frames: int) -> NDArray[np.int64]:
    """Indices of ``frames`` frames spread evenly over ``length``, first and last included.

    This is pytorchvideo's UniformTemporalSubsample: ``linspace(0, length - 1)``, truncated.
    """
    return np.linspace(0, length - 1, frames).astype(np.int64)


class _FrameSampler:
    """A runtime that sees only some frames of a clip."""

    def __init__(self, runtime: Runtime, rows: NDArray[np.int64]) -> None:
        self._runtime, self._rows = runtime, rows

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._runtime.run(clips[:, :, self._rows])

    def run_there(self, clips: "Tensor") -> "Tensor":
        import torch

        rows = torch.tensor(self._rows, device=clips.device)
        return self._runtime.run_there(clips.index_select(2, rows))
