"""Torch on any device: batch norm folded, channels last, and I3D on a CPU by faster kernels."""

import copy
import logging
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from extract.backbones.i3d import InceptionI3D, fold_batch_norm
from extract.inference.batching import GPU_BATCH, batches, cpu_batch
from extract.inference.packed_i3d import PackedI3D, usable
from extract.inference.precision import rounding
from extract.inference.winograd.example import winograd_works

log = logging.getLogger(__name__)


class TorchRuntime:
    """A network of one input shape.

    Args:
        network: see `extract.backbones.spec.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        device: as torch names it.
        threads: CPU threads; None leaves them.
        winograd: compute Inception-I3D's larger convolutions on a CPU by Winograd's filtering.
        precision: see `extract.inference.precision`.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        device: str = "cpu",
        threads: int | None = None,
        winograd: bool = False,
        precision: str = "float32",
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._precision = precision
        self._batch = cpu_batch(shape) if self._device.type == "cpu" else GPU_BATCH
        self._features = self._fastest(network, winograd)

    def _fastest(
        self, network: nn.Module, winograd: bool
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        if self._device.type == "cpu" and isinstance(network, InceptionI3D):
            if winograd and winograd_works():
                from extract.inference.winograd.choice import fitting_convolutions

                return PackedI3D(network, fitting_convolutions()).features
            if usable():
                return PackedI3D(network).features
            log.info("torch %s lacks packed convolutions, the plain ones run", torch.__version__)
        network = _prepared(network)
        kernels = {weight.ndim for weight in network.parameters()}
        # Torch lays out all of a network or nothing.
        volumes = 5 in kernels and 4 not in kernels
        layout: dict[str, Any] = {"memory_format": torch.channels_last_3d} if volumes else {}
        network = network.to(self._device, **layout)
        return cast("Callable[[torch.Tensor], torch.Tensor]", network.features)

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``."""
        found = [
            self._whole(torch.from_numpy(batch).to(self._device))[:real].cpu().numpy()
            for batch, real in batches(clips, self._batch)
        ]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def run_there(self, clips: torch.Tensor) -> torch.Tensor:
        """`run` of a tensor: from the device that holds it to this one, where the features stay.

        Batches have the shape that they have there, so that both give the same values.
        """
        found = []
        for first in range(0, len(clips), self._batch):
            batch = clips[first : first + self._batch].to(self._device)
            missing = self._batch - len(batch)
            whole = functional.pad(batch, (0, 0) * 4 + (0, missing)) if missing else batch
            found.append(self._whole(whole)[: len(batch)])
        return torch.cat(found) if found else clips.new_zeros((0, 0))

    def _whole(self, batch: torch.Tensor) -> torch.Tensor:
        """Features ``[B, D] float32`` of one batch of the fixed shape."""
        with torch.inference_mode(), rounding(self._precision, self._device.type):
            x = batch.contiguous(memory_format=torch.channels_last_3d)
            return self._features(x).float()


def _prepared(network: nn.Module) -> nn.Module:
    """A copy of a network for inference, with I3D's batch norm folded into its convolutions."""
    if isinstance(network, InceptionI3D):
        return fold_batch_norm(network)
    return copy.deepcopy(network).eval().requires_grad_(False)
