"""Torchvision's video networks, with the preprocessing that its weights entries state."""

import functools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from extract.backbones.spec import BackboneSpec
from extract.preprocessing.torchvision_resize import Resize
from weights.formats.libraries import torchvision_network, torchvision_weights
from weights.manifest import network

if TYPE_CHECKING:
    from torch import nn

FPS = Fraction(30)


# What torchvision's entries do not state: the last linear layer, and clips at the frame rate of the
# published evaluation (frames at 30 per second, of which the network sees every step-th).
LAST_LAYER = {"mvit_v2_s": "head.1", "swin3d_t": "head", "s3d": "classifier.1", "r2plus1d_18": "fc"}
CLIPS: dict[str, dict[str, Any]] = {
    "mvit_v2_s": {"dimension": 768, "length": 64, "step": 4},
    "swin3d_t": {"dimension": 768, "length": 64, "step": 2},
    # Evaluated on 128 frames, 8.5 seconds: too long for a snippet.
    "s3d": {"dimension": 1024, "length": 64, "step": 2, "classifier_length": 256},
    "r2plus1d_18": {"dimension": 512, "length": 32, "step": 2},
}


def build(name: str, stream: str, classes: int) -> "nn.Module":
    """A network with random weights and torchvision's tensor names."""
    from extract.backbones.wrapped_classifier import WrappedNetwork

    return WrappedNetwork(torchvision_network(name, classes), LAST_LAYER[name])


@functools.cache
def torchvision_spec(name: str) -> BackboneSpec:
    """The spec of a network of torchvision, its preprocessing read from torchvision."""
    shown = torchvision_weights(network(name, "rgb").sources[0].url or "").transforms()
    size = shown.resize_size
    return BackboneSpec(
        name=name,
        streams=("rgb",),
        frame_side=min(size),
        crop=shown.crop_size[0],
        build=functools.partial(build, name),
        fps=FPS,
        mean=tuple(shown.mean),
        deviation=tuple(shown.std),
        resize=Resize(size[0] if len(size) == 1 else (size[0], size[1])),
        **CLIPS[name],
    )
