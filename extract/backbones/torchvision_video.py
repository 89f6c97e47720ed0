"""Torchvision's video networks, with the preprocessing that its weights entries state."""

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from extract.backbones.spec import BackboneSpec
from extract.preprocessing.torchvision_resize import Resize
from weights.formats.libraries import torchvision_network, torchvision_weights
from weights.manifest import network

if TYPE_CHECKING:
    from torch import nn

FPS = Fraction(30)


@dataclass(frozen=True)
class _Clip:
    """What torchvision's entries do not state.

    Attributes:
        last: name of the network's last linear layer.
        dimension: length of a feature.
        length: frames of a snippet at 30 per second.
        step: the network sees every step-th of them, which gives the rate of its evaluation.
        classifier_length: frames that the classifier was evaluated on, if more.
    """

    last: str
    dimension: int
    length: int
    step: int
    classifier_length: int | None = None


TORCHVISION = {
    "mvit_v2_s": _Clip("head.1", 768, length=64, step=4),
    "swin3d_t": _Clip("head", 768, length=64, step=2),
    # Evaluated on 128 frames, 8.5 seconds: too long for a snippet.
    "s3d": _Clip("classifier.1", 1024, length=64, step=2, classifier_length=256),
    "r2plus1d_18": _Clip("fc", 512, length=32, step=2),
}


def build(name: str, stream: str, classes: int) -> "nn.Module":
    """A network with random weights and torchvision's tensor names."""
    from extract.backbones.wrapped_classifier import WrappedNetwork

    return WrappedNetwork(torchvision_network(name, classes), TORCHVISION[name].last)


@functools.cache
def torchvision_spec(name: str) -> BackboneSpec:
    """The spec of a network of torchvision, its preprocessing read from torchvision."""
    clip = TORCHVISION[name]
    shown = torchvision_weights(network(name, "rgb").sources[0].url or "").transforms()
    size = shown.resize_size
    return BackboneSpec(
        name=name,
        streams=("rgb",),
        frame_side=min(size),
        crop=shown.crop_size[0],
        length=clip.length,
        dimension=clip.dimension,
        build=functools.partial(build, name),
        step=clip.step,
        fps=FPS,
        mean=tuple(shown.mean),
        deviation=tuple(shown.std),
        classifier_length=clip.classifier_length,
        resize=Resize(size[0] if len(size) == 1 else (size[0], size[1])),
    )
