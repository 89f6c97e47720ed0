"""RAFT (Teed and Deng 2020) as a flow method, by torchvision's network."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.machine.devices import choose_device, exact_float32

if TYPE_CHECKING:
    from torch import Tensor

UPDATES = 12
"""Refinements of the flow (torchvision's default)."""
MIN_SIDE = 128
"""Frames below this are padded: the network's coarsest correlation map needs at least 2 pixels."""
GPU_PAIRS = 8
"""Pairs per batch on a GPU."""


class RAFTFlow:
    """``raft``, with the weights of the registry.

    Raises:
        WeightsError: the weights are missing.
        ExtractError: there is no such device.
    """

    name = "raft"
    single_thread_per_pair = False  # torch uses all threads for a pair

    def __init__(self, device: str = "auto") -> None:
        import torch
        from safetensors.torch import load_file

        from weights.formats.libraries import import_torchvision
        from weights.registry import resolve

        import_torchvision()
        from torchvision.models.optical_flow import raft_large

        self._device = choose_device(device)
        weights = resolve("raft", "flow")
        self._sha256 = weights.sha256
        model = raft_large(weights=None)
        model.load_state_dict(load_file(weights.path))
        self._model: torch.nn.Module = model.eval().to(self._device)

    @property
    def engine(self) -> str:
        """For example ``torchvision 0.29.1 on cpu``."""
        from importlib.metadata import version

        return f"torchvision {version('torchvision')} on {self._device.partition(':')[0]}"

    def settings(self) -> dict[str, Any]:
        """``{"method": "raft", "updates": 12, "weights": sha256}``."""
        return {"method": self.name, "updates": UPDATES, "weights": self._sha256}

    def compute(self, grey: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``FlowMethod.compute``; the grey frames are not used."""
        import torch

        frames = torch.from_numpy(rgb).to(self._device)
        found: NDArray[np.float32] = raft_tensors(self._model, frames).cpu().numpy()
        return found

    def compute_on_device(self, grey: "Tensor", rgb: "Tensor") -> "Tensor":
        """See ``FlowMethod.compute_on_device``."""
        return raft_tensors(self._model, rgb)


def raft_tensors(model: Any, rgb: "Tensor", batch: int | None = None) -> "Tensor":
    """Flow ``[N, 2, H, W]`` of frames ``[N+1, H, W, 3] uint8`` on their device, by a RAFT network.

    Frames are padded to sides that are multiples of 8 and at least 128 by repeating their border,
    and the flow is cropped. Batches have a fixed size, the last filled up with grey frames, so that
    a field does not depend on its neighbours.

    Args:
        model: the network.
        rgb: frames.
        batch: pairs per batch; None takes 1 on a CPU and ``GPU_PAIRS`` on a GPU.
    """
    import torch

    height, width = rgb.shape[1:3]
    tall, wide = (max(-(-side // 8) * 8, MIN_SIDE) for side in (height, width))
    top, left = (tall - height) // 2, (wide - width) // 2
    borders = (left, wide - width - left, top, tall - height - top)
    count = batch or (GPU_PAIRS if rgb.device.type == "cuda" else 1)
    pairs = max(len(rgb) - 1, 0)
    with torch.inference_mode(), exact_float32():
        flow = torch.empty((pairs, 2, height, width), device=rgb.device)
        for start in range(0, pairs, count):
            stop = min(start + count, pairs)
            first, second = (
                _scaled(frames, count, borders)
                for frames in (rgb[start:stop], rgb[start + 1 : stop + 1])
            )
            fields = model(first, second, num_flow_updates=UPDATES)[-1][: stop - start]
            flow[start:stop] = fields[..., top : top + height, left : left + width]
    return flow


def _scaled(frames: "Tensor", count: int, borders: tuple[int, ...]) -> "Tensor":
    """``count`` frames scaled and padded for the network; missing ones are grey."""
    from torch.nn.functional import pad

    scaled = pad(frames.permute(0, 3, 1, 2).float() / 127.5 - 1, borders, mode="replicate")
    missing = count - len(scaled)
    return pad(scaled, (0, 0) * 3 + (0, missing), mode="constant") if missing else scaled
