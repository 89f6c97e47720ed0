"""Inception-I3D on a CPU by torch's packed kernels, with the ReLU fused into the convolution.

Torch's own convolution repacks its kernel at every call and writes its output again for the ReLU.
The operators behind ``torch.compile`` pack once and fuse both, and need no compiler. They are not
public: `usable` tries them, and the plain module is the fallback.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.i3d import (
    PUBLISHED_POOL,
    InceptionBlock,
    InceptionI3D,
    SamePool3d,
    Unit3D,
    folded,
    pad_same,
    same_padding,
)

Layer = Callable[[Tensor], Tensor]
Maker = Callable[[Tensor, Tensor, tuple[int, ...], tuple[int, ...]], Layer]
"""Makes a convolution with SAME padding, bias and ReLU from weight, bias, kernel and stride."""


def usable() -> bool:
    """Whether this torch has the operators and they compute convolution and ReLU."""
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 8, 3, 3, 3, generator=generator)
    x = torch.randn(1, 8, 4, 6, 6, generator=generator)
    bias = torch.zeros(16)
    expected = functional.relu(functional.conv3d(x, weight, bias, padding=1))
    try:
        found = PackedConvolution(weight, bias, (3, 3, 3), (1, 1, 1))(_last(x))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


class PackedConvolution:
    """Convolution with SAME padding, bias and ReLU; its kernel is packed at the first call."""

    def __init__(
        self, weight: Tensor, bias: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.weight, self.bias = _last(weight), bias
        self.kernel, self.stride = kernel, stride
        self.packed: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, N, T', H', W']``, channels last in memory."""
        x, padding = pad_same(x, self.kernel, self.stride)
        form = (list(padding), list(self.stride), [1, 1, 1], 1)  # dilation 1, one group
        ops: Any = torch.ops.mkldnn
        if self.packed is None:
            self.packed = ops._reorder_convolution_weight(self.weight, *form, list(x.shape))
        found: Tensor = ops._convolution_pointwise(x, self.packed, self.bias, *form, "relu", [], "")
        return found


def _convolution(make: Maker, *units: Unit3D) -> Layer:
    """Convolutions of one input as one, outputs concatenated, batch norm folded."""
    weights, biases = zip(*(folded(unit) for unit in units), strict=True)
    weight, bias = (weights[0], biases[0]) if len(units) == 1 else map(torch.cat, (weights, biases))
    return make(weight, bias, units[0].kernel, units[0].stride)


def _pool(layer: SamePool3d) -> Layer:
    """Max pooling by ceil mode instead of padding at the end of an axis."""

    def run(x: Tensor) -> Tensor:
        axes = zip(x.shape[2:], layer.kernel, layer.stride, strict=True)
        pads = [same_padding(*axis) for axis in axes]
        return functional.max_pool3d(
            x, layer.kernel, layer.stride, [before for before, _ in pads], ceil_mode=True
        )

    return run


def _block(make: Maker, layer: InceptionBlock) -> Layer:
    """An Inception block that computes the three 1x1x1 convolutions of its input as one."""
    first = _convolution(make, layer.b1a, layer.b2a, layer.b0)
    left, middle = layer.b1a.conv3d.out_channels, layer.b2a.conv3d.out_channels
    b1b, b2b, b3b = (_convolution(make, unit) for unit in (layer.b1b, layer.b2b, layer.b3b))
    pool = _pool(layer.b3a)

    def run(x: Tensor) -> Tensor:
        y = first(x)
        branches = (
            y[:, left + middle :],
            b1b(y[:, :left]),
            b2b(y[:, left : left + middle]),
            b3b(pool(x)),
        )
        return torch.cat(branches, dim=1)

    return run


class PackedI3D:
    """An `InceptionI3D` in inference mode on a CPU, for one input shape.

    Args:
        network: its batch norm is folded.
        make: makes its convolutions.
    """

    def __init__(self, network: InceptionI3D, make: Maker = PackedConvolution) -> None:
        self._whole = network.pool == "whole"
        self._layers: list[Layer] = []
        for name, layer in network.named_children():
            if isinstance(layer, InceptionBlock):
                self._layers.append(_block(make, layer))
            elif isinstance(layer, SamePool3d):
                self._layers.append(_pool(layer))
            elif isinstance(layer, Unit3D) and name != "logits":
                self._layers.append(_convolution(make, layer))

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, C, T, H, W]`` to features ``[B, D]``, as `InceptionI3D.features`."""
        x = _last(x)
        for layer in self._layers:
            x = layer(x)
        if not self._whole:
            x = functional.avg_pool3d(x, PUBLISHED_POOL, stride=1)
        return x.mean(dim=(2, 3, 4))
