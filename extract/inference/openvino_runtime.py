"""OpenVINO on a CPU: a network's graph by way of ``torch.export``, compiled once, float32 held.

The graph is made from the torch module itself, no network is written a second time. That takes some
seconds.
"""

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from extract.inference.batching import batches

if TYPE_CHECKING:
    import openvino

# Without the hint OpenVINO rounds to bfloat16 on processors that have it.
PRECISION = "f32"


@functools.cache
def _core() -> "openvino.Core":
    """The one core of this process, which lives as long as it.

    Each core of OpenVINO's CPU plugin gives signals a stack of its own and takes it away at its
    end. Of two cores that end in the order they began, the second puts back the stack that the
    first has freed, and the next Ctrl-C is a segmentation fault.
    """
    import openvino

    return openvino.Core()


class _Features(nn.Module):
    """A backbone's network whose output is the feature."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Any:
        return self.network.features(x)  # type: ignore[operator]  # a method


class OpenVINORuntime:
    """A network compiled for one batch shape.

    Args:
        network: see `extract.backbones.spec.FeatureNetwork`; in inference mode.
        shape: (C, T, H, W) of one clip.
        batch: clips per inference.
        threads: CPU threads; None takes torch's number, which workers set.
    """

    def __init__(
        self, network: nn.Module, shape: tuple[int, ...], batch: int, threads: int | None = None
    ) -> None:
        import openvino

        self._batch = batch
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both libraries speak of their own coming changes
            program = torch.export.export(_Features(network), (torch.zeros(batch, *shape),))
            model = openvino.convert_model(program)
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISION,
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            # Workers that share a machine do not know of each other: pinned, all of them would
            # take the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = _core().compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()

    def run(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clips ``[N, C, T, H, W]`` to features ``[N, D]``."""
        found = [
            self._request.infer({0: batch}, share_inputs=True)[0][:real].copy()
            for batch, real in batches(clips, self._batch)
        ]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def run_there(self, clips: torch.Tensor) -> torch.Tensor:
        """`run` of a tensor, to a tensor on the processor."""
        return torch.from_numpy(self.run(clips.cpu().numpy()))
