"""What computes a backbone: torch on any device, or OpenVINO on a CPU where it is installed.

Both compute in float32, on GPUs too, and agree to 1e-3 relative. There is no autocast: rounding as
it does moves I3D's feature of a real clip by 1.2e-3 of its largest value in float16 and by 1.5e-2
in bfloat16, and the features of one folder may come from different machines. Each runtime has one
fixed batch shape, the last batch being padded, so that a snippet's feature does not depend on its
neighbours.
"""

import copy
import importlib.metadata
import importlib.util
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

RUNTIMES = ("torch", "openvino")
GPU_BATCH = 16
SMALL_BATCH = 4
SMALL_CLIP = 1 << 20  # values of a clip below which one alone does not keep a CPU busy


class Runtime(Protocol):
    """A network ready to run."""

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``, any N."""
        ...


@dataclass(frozen=True)
class Choice:
    """What computes: ``name`` is torch or openvino, ``device`` as torch names it."""

    name: str
    device: str

    def describe(self) -> str:
        """Name, version and kind of device, for the log and the feature file."""
        version = importlib.metadata.version(self.name).split("+")[0]
        return f"{self.name} {version} {self.device.partition(':')[0]}"


def choose_runtime(runtime: str = "auto", device: str = "auto") -> Choice:
    """Decide what computes.

    Raises:
        ExtractError: an unknown runtime or device, or one that is not there.
    """
    import torch

    if runtime not in ("auto", *RUNTIMES):
        raise ExtractError(f"no runtime '{runtime}'; choose auto, {' or '.join(RUNTIMES)}")
    kind = device.partition(":")[0]
    if kind not in ("auto", "cpu", "cuda"):
        raise ExtractError(f"no device '{device}'; choose auto, cpu, cuda or cuda:N")
    cuda = torch.cuda.is_available()
    if kind == "cuda" and not cuda:
        raise ExtractError(f"device {device} was asked for, but torch sees no GPU here")
    chosen = ("cuda" if cuda else "cpu") if kind == "auto" else device
    installed = importlib.util.find_spec("openvino") is not None
    if runtime == "openvino":
        if not installed:
            raise ExtractError(
                "openvino is not installed; install the extra: pip install basnet-e2e[cpu]"
            )
        if kind == "cuda":
            raise ExtractError("the openvino runtime computes on a CPU only; drop --device cuda")
        return Choice("openvino", "cpu")
    if runtime == "auto" and chosen == "cpu" and installed:
        return Choice("openvino", "cpu")
    return Choice("torch", chosen)


def cpu_batch(shape: tuple[int, ...]) -> int:
    """Clips per inference on a CPU for clips of (C, T, H, W).

    One clip of the published size keeps the cores busy, and more would only be wasted on the last
    snippets of a video.
    """
    return 1 if int(np.prod(shape)) >= SMALL_CLIP else SMALL_BATCH


def make_runtime(
    network: "nn.Module",
    shape: tuple[int, ...],
    *,
    choice: Choice,
    frames: int | None = None,
    threads: int | None = None,
) -> Runtime:
    """Prepare a network in inference mode for clips of one shape.

    Args:
        network: see `extract.backbones.loading.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        choice: what computes.
        frames: frames of a clip that the network sees, spread evenly; None for all.
        threads: CPU threads; None leaves them.
    """
    rows = None if frames is None else spread(shape[1], frames)
    seen = (shape[0], frames or shape[1], *shape[2:])
    runtime: Runtime
    if choice.name == "openvino":
        from extract.backbones.runtime_openvino import OpenVINORuntime

        runtime = OpenVINORuntime(network, seen, cpu_batch(seen), threads)
    else:
        runtime = TorchRuntime(network, seen, choice.device, threads)
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


def batches(clips: NDArray[np.float32], size: int) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Batches of exactly ``size`` clips, the last filled with zeros, and how many are real."""
    for first in range(0, len(clips), size):
        batch = clips[first : first + size]
        real = len(batch)
        if real < size:
            batch = np.concatenate([batch, np.zeros((size - real, *batch.shape[1:]), np.float32)])
        yield np.ascontiguousarray(batch), real


class TorchRuntime:
    """Torch in float32: batch norm folded, channels last, inference mode.

    Args:
        network: see `extract.backbones.loading.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        device: as torch names it.
        threads: CPU threads; None leaves them.
    """

    def __init__(
        self,
        network: "nn.Module",
        shape: tuple[int, ...],
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._batch = cpu_batch(shape) if self._device.type == "cpu" else GPU_BATCH
        self._features = self._fastest(prepared(network).to(self._device))

    def _fastest(self, network: "nn.Module") -> "Callable[[torch.Tensor], torch.Tensor]":
        import torch

        from extract.backbones.i3d import InceptionI3D
        from extract.backbones.i3d_packed import PackedI3D, usable

        if self._device.type == "cpu" and isinstance(network, InceptionI3D):
            if usable():
                return PackedI3D(network).features
            log.info("torch %s lacks packed convolutions, the plain ones run", torch.__version__)
        network.to(memory_format=torch.channels_last_3d)
        return cast("Callable[[torch.Tensor], torch.Tensor]", network.features)

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``."""
        import torch

        found = []
        # TensorFloat-32 would round products to 10 bits: features must not depend on the device.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            for batch, real in batches(clips, self._batch):
                x = torch.from_numpy(batch).to(self._device)
                x = x.contiguous(memory_format=torch.channels_last_3d)
                found.append(self._features(x)[:real].float().cpu().numpy())
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def prepared(network: "nn.Module") -> "nn.Module":
    """A copy of a network for inference, with batch norm folded into convolutions."""
    from extract.backbones.i3d import InceptionI3D, fold_batch_norm

    if isinstance(network, InceptionI3D):
        return fold_batch_norm(network)
    return copy.deepcopy(network).eval().requires_grad_(False)
