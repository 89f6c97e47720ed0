"""The convolutions of a network on a CPU, each by the fastest method for its input."""

import functools
import threading

import torch
from torch import Tensor
from torch.nn import functional

from extract.backbones.i3d import pad_same
from extract.inference.packed_i3d import Layer, Maker, PackedConvolution, usable
from extract.inference.winograd.convolution import WinogradConvolution, transform_for
from extract.inference.winograd.thread_team import ThreadTeam


def _torch_convolution(
    weight: Tensor, bias: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]
) -> Layer:
    """Torch's own convolution, for a torch without packed kernels."""
    weight = weight.contiguous(memory_format=torch.channels_last_3d)

    def run(x: Tensor) -> Tensor:
        x, padding = pad_same(x, kernel, stride)
        return functional.conv3d(x, weight, bias, stride, padding).relu_()

    return run


class _LazyConvolution:
    """A convolution that chooses its method at the first call and then frees the plain weights."""

    def __init__(
        self,
        team: ThreadTeam,
        other: Maker,
        weight: Tensor,
        bias: Tensor,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> None:
        self._plain: tuple[Tensor, Tensor, tuple[int, ...], tuple[int, ...]] | None
        self._plain = weight, bias, kernel, stride
        self._team, self._other = team, other
        self._layer: Layer | None = None
        self._choosing = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        layer = self._layer or self._choose(tuple(x.shape))
        return layer(x)

    def _choose(self, clips: tuple[int, ...]) -> Layer:
        with self._choosing:
            if self._layer is None:
                assert self._plain is not None
                weight, bias, _, stride = self._plain
                transform = transform_for(weight, stride[0], clips)
                if transform is None:
                    self._layer = self._other(*self._plain)
                else:
                    self._layer = WinogradConvolution(
                        weight, bias, stride[0], transform, self._team
                    )
                self._plain = None
            return self._layer


def convolution_maker() -> Maker:
    """A maker of the convolutions of one network, which share their threads."""
    other = PackedConvolution if usable() else _torch_convolution
    return functools.partial(_LazyConvolution, ThreadTeam(), other)
