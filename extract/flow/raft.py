"""RAFT (Teed and Deng 2020) as a flow method, by torchvision's network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.devices import choose_device, exact_float32

UPDATES = 12
"""Refinements of the flow (torchvision's default)."""
MIN_SIDE = 128
"""Frames below this are padded: the network's coarsest correlation map needs at least 2 pixels."""


class RAFTFlow:
    """``raft``; its weights come by the registry.

    Raises:
        WeightsError: the weights are not there.
        ExtractError: the device is not there.
    """

    name = "raft"
    pair_a_thread = False  # torch shares out each pair

    def __init__(self, device: str = "auto", offline: bool | None = None) -> None:
        import torch
        from safetensors.torch import load_file
        from torchvision.models.optical_flow import raft_large

        from weights.registry import resolve

        self._device = choose_device(device)
        weights = resolve("raft", "flow", offline=offline)
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
        return raft_flow(self._model, rgb, self._device)


def raft_flow(model: Any, rgb: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.float32]:
    """Flow ``[N, 2, H, W]`` of a RAFT network, pair by pair, on frames ``[N+1, H, W, 3] uint8``.

    The network needs sides that are multiples of 8 and at least 128; frames are padded by
    repeating their border, evenly on both sides, and the flow is cut back.
    """
    import torch
    from torch.nn.functional import pad

    height, width = rgb.shape[1:3]
    tall, wide = (max(-(-side // 8) * 8, MIN_SIDE) for side in (height, width))
    top, left = (tall - height) // 2, (wide - width) // 2
    borders = (left, wide - width - left, top, tall - height - top)
    flow = np.empty((max(len(rgb) - 1, 0), 2, height, width), np.float32)
    with torch.inference_mode(), exact_float32():
        for n in range(len(flow)):
            pair = torch.from_numpy(np.ascontiguousarray(rgb[n : n + 2])).to(device)
            scaled = pad(pair.permute(0, 3, 1, 2).float() / 127.5 - 1, borders, mode="replicate")
            field = model(scaled[:1], scaled[1:], num_flow_updates=UPDATES)[-1][0]
            flow[n] = field[:, top : top + height, left : left + width].cpu().numpy()
    return flow
