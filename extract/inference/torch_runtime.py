"""Networks on any device: batch norm folded, channels last, and faster kernels for I3D on a CPU.

Devices agree to 1e-3 relative in float32. On a GPU (`extract.inference.precision`), float16 moves
I3D's feature of a real clip by 1.2e-3 of its largest value, bfloat16 by 1.5e-2.
"""

import copy
import importlib.metadata
import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from extract.backbones.i3d import InceptionI3D, fold_batch_norm
from extract.inference.batching import GPU_BATCH, batches, cpu_batch
from extract.inference.packed_i3d import PackedI3D, usable
from extract.inference.precision import rounding
from extract.inference.winograd.example import winograd_works

log = logging.getLogger(__name__)


def describe(device: str, winograd: bool) -> str:
    """Name of a runtime for the log and the feature file, e.g. ``torch 2.6.0 winograd cpu``.

    Args:
        device: as torch names it; the number of a GPU is left out.
        winograd: as for `TorchRuntime`.
    """
    version = importlib.metadata.version("torch").split("+")[0]
    how = " winograd" if winograd and winograd_works() else ""
    return f"torch {version}{how} {device.partition(':')[0]}"


class TorchRuntime:
    """A network ready to run on clips of one shape.

    Args:
        network: made by `BackboneSpec.build`, in inference mode.
        shape: (C, T, H, W) of one clip.
        device: as torch names it.
        winograd: compute Inception-I3D's larger convolutions on a CPU by Winograd's filtering.
        precision: one that the device has, see `extract.inference.precision`.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        device: str = "cpu",
        winograd: bool = False,
        precision: str = "float32",
    ) -> None:
        self._device = torch.device(device)
        self._precision = precision
        self._batch = cpu_batch(shape) if self._device.type == "cpu" else GPU_BATCH
        self._features = self._fastest(network, winograd)

    def _fastest(
        self, network: nn.Module, winograd: bool
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        if self._device.type == "cpu" and isinstance(network, InceptionI3D):
            if winograd and winograd_works():
                from extract.inference.winograd.choice import convolution_maker

                return PackedI3D(network, convolution_maker()).features
            if usable():
                return PackedI3D(network).features
            log.info("torch %s lacks packed convolutions; using plain ones", torch.__version__)
        network = inference_copy(network)
        kernels = {weight.ndim for weight in network.parameters()}
        # Torch changes the layout of a whole network or of nothing.
        volumes = 5 in kernels and 4 not in kernels
        layout: dict[str, Any] = {"memory_format": torch.channels_last_3d} if volumes else {}
        network = network.to(self._device, **layout)
        return cast("Callable[[torch.Tensor], torch.Tensor]", network.features)

    def run(self, clips: torch.Tensor) -> torch.Tensor:
        """Clips ``[N, C, T, H, W]`` on any device to features ``[N, D]`` on this one.

        Batches have one of two shapes, the last padded with zeros: a feature does not depend on its
        neighbours.
        """
        found = []
        for first, size in batches(len(clips), self._batch):
            batch = clips[first : first + size].to(self._device)
            missing = size - len(batch)
            whole = functional.pad(batch, (0, 0) * 4 + (0, missing)) if missing else batch
            with torch.inference_mode(), rounding(self._precision, self._device.type):
                x = whole.contiguous(memory_format=torch.channels_last_3d)
                found.append(self._features(x).float()[: len(batch)])
        return torch.cat(found) if found else clips.new_zeros((0, 0))


def inference_copy(network: nn.Module) -> nn.Module:
    """A copy of a network for inference, I3D with folded batch norm."""
    if isinstance(network, InceptionI3D):
        return fold_batch_norm(network)
    return copy.deepcopy(network).eval().requires_grad_(False)
