"""Torch on any device: batch norm folded, channels last, and I3D on a CPU by faster kernels."""

import copy
import logging
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from extract.backbones.batches import GPU_BATCH, batches, cpu_batch
from extract.backbones.i3d import InceptionI3D, fold_batch_norm
from extract.backbones.i3d_packed import PackedI3D, usable
from extract.devices import exact_float32

log = logging.getLogger(__name__)


class TorchRuntime:
    """A network of one input shape, in float32.

    Args:
        network: see `extract.backbones.records.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        device: as torch names it.
        threads: CPU threads; None leaves them.
        winograd: compute Inception-I3D's larger convolutions on a CPU by Winograd's filtering.
    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        device: str = "cpu",
        threads: int | None = None,
        winograd: bool = False,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._batch = cpu_batch(shape) if self._device.type == "cpu" else GPU_BATCH
        self._features = self._fastest(network, winograd)

    def _fastest(
        self, network: nn.Module, winograd: bool
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        if self._device.type == "cpu" and isinstance(network, InceptionI3D):
            if winograd:
                from extract.backbones.winograd.fitting import fitting_convolutions

                return PackedI3D(network, fitting_convolutions()).features
            if usable():
                return PackedI3D(network).features
            log.info("torch %s lacks packed convolutions, the plain ones run", torch.__version__)
        network = _prepared(network).to(self._device)
        kernels = {weight.ndim for weight in network.parameters()}
        if 5 in kernels and 4 not in kernels:  # torch lays out all of a network or nothing
            network = network.to(memory_format=torch.channels_last_3d)
        return cast("Callable[[torch.Tensor], torch.Tensor]", network.features)

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``."""
        found = []
        with torch.inference_mode(), exact_float32():
            for batch, real in batches(clips, self._batch):
                x = torch.from_numpy(batch).to(self._device)
                x = x.contiguous(memory_format=torch.channels_last_3d)
                found.append(self._features(x)[:real].float().cpu().numpy())
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def _prepared(network: nn.Module) -> nn.Module:
    """A copy of a network for inference, with I3D's batch norm folded into its convolutions."""
    if isinstance(network, InceptionI3D):
        return fold_batch_norm(network)
    return copy.deepcopy(network).eval().requires_grad_(False)
