"""OpenVINO on a CPU: the network's graph compiled once, float32 held.

Inception-I3D is built operation by operation, which takes a moment and lets OpenVINO pad
asymmetrically by itself; other networks go through ``torch.export``, which takes some seconds.
"""

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones.runtimes import batches, prepared

if TYPE_CHECKING:
    import openvino
    from torch import nn

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


class OpenVINORuntime:
    """A network compiled for one batch shape.

    Args:
        network: see `extract.backbones.loading.FeatureNetwork`.
        shape: (C, T, H, W) of one clip.
        batch: clips per inference.
        threads: CPU threads; None takes torch's number, which workers set.
    """

    def __init__(
        self, network: "nn.Module", shape: tuple[int, ...], batch: int, threads: int | None = None
    ) -> None:
        import torch

        from extract.backbones.i3d import InceptionI3D

        self._batch = batch
        folded = prepared(network)
        if isinstance(folded, InceptionI3D):
            model = _inception_graph(folded, (batch, *shape))
        else:
            model = _exported(folded, (batch, *shape))
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


def _exported(network: "nn.Module", shape: tuple[int, ...]) -> Any:
    """The graph of any network, by way of torch's export."""
    import openvino
    import torch
    from torch import nn

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> Any:
            return self.network.features(x)  # type: ignore[operator]  # a method

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries speak of their own coming changes
        return openvino.convert_model(torch.export.export(Features(), (torch.zeros(shape),)))


def _inception_graph(network: Any, shape: tuple[int, ...]) -> Any:
    """The graph of a folded `InceptionI3D` from clips to features."""
    import openvino

    from extract.backbones.i3d import PUBLISHED_POOL, InceptionBlock, SamePool3d, same_padding

    ops = openvino.opset13

    def pads(node: Any, kernel: Any, stride: Any) -> tuple[list[int], list[int]]:
        sizes = list(node.get_shape())[2:]
        pairs = [same_padding(n, k, s) for n, k, s in zip(sizes, kernel, stride, strict=True)]
        return [before for before, _ in pairs], [after for _, after in pairs]

    def convolution(node: Any, layers: list[Any]) -> Any:
        """Several convolutions over one input as one, their outputs side by side."""
        weight = np.concatenate([layer.conv3d.weight.numpy() for layer in layers])
        bias = np.concatenate([layer.conv3d.bias.numpy() for layer in layers])
        before, after = pads(node, layers[0].kernel, layers[0].stride)
        node = ops.convolution(
            node, ops.constant(weight), layers[0].stride, before, after, [1, 1, 1]
        )
        return ops.relu(ops.add(node, ops.constant(bias.reshape(1, -1, 1, 1, 1)))).output(0)

    def pool(node: Any, layer: Any) -> Any:
        before, after = pads(node, layer.kernel, layer.stride)
        return ops.max_pool(
            node, layer.stride, [1, 1, 1], before, after, layer.kernel, index_element_type="i64"
        ).output(0)

    def block(node: Any, layer: Any) -> Any:
        branches = (
            convolution(node, [layer.b0]),
            convolution(convolution(node, [layer.b1a]), [layer.b1b]),
            convolution(convolution(node, [layer.b2a]), [layer.b2b]),
            convolution(pool(node, layer.b3a), [layer.b3b]),
        )
        return ops.concat(list(branches), 1).output(0)

    clips = ops.parameter(list(shape), np.float32)
    node = clips.output(0)
    for name, layer in network.named_children():
        if name in ("dropout", "logits"):
            continue
        if isinstance(layer, InceptionBlock):
            node = block(node, layer)
        elif isinstance(layer, SamePool3d):
            node = pool(node, layer)
        else:
            node = convolution(node, [layer])
    if network.pool == "published":
        node = ops.avg_pool(
            node, [1, 1, 1], [0, 0, 0], [0, 0, 0], list(PUBLISHED_POOL), exclude_pad=True
        )
    node = ops.reduce_mean(node, ops.constant(np.array([2, 3, 4])), keep_dims=False)
    return openvino.Model([node], [clips], "inception_i3d")
