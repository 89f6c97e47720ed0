"""The table of backbones: networks that turn a clip of frames into one feature vector.

A backbone is one `BackboneRecord`, which carries all that its network expects of a clip, so that it
never meets the wrong preprocessing. Adding one is adding one entry to ``BACKBONES`` (and, for its
weights, one to ``weights/manifest.toml``).
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from extract.streams import CHANNELS, STREAMS

if TYPE_CHECKING:
    from torch import Tensor, nn

Colour = tuple[float, float, float]


class FeatureNetwork(Protocol):
    """What a backbone's network offers besides being a torch module."""

    def features(self, x: "Tensor") -> "Tensor":
        """Clips ``[B, C, T, H, W]`` to features ``[B, D]``."""
        ...

    def classifier(self) -> "tuple[Tensor, Tensor]":
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer on the features."""
        ...


@dataclass(frozen=True)
class BackboneRecord:
    """One named backbone.

    Attributes:
        name: what users call it.
        streams: streams that it has, of rgb and flow.
        frame_side: short side in pixels that frames are resized to.
        crop: side of the centre crop in pixels.
        length: frames on the grid that one snippet covers.
        dimension: length of a feature.
        build: (stream, classes) -> network with random weights and published tensor names.
        frames: frames of the snippet that the network sees, spread evenly; None for all.
        fps: frames per second of the grid that its snippets were trained on.
        mean: subtracted from red, green and blue in [0, 1].
        deviation: they are divided by it afterwards.
        flow_overrides: parameters of TV-L1 that differ from its defaults.
        classifier_length: frames of the clips that its classifier was trained on, where they are
            more than a snippet's.
        openvino: whether OpenVINO computes it at least 1.2 times as fast as torch on a CPU.
    """

    name: str
    streams: tuple[str, ...]
    frame_side: int
    crop: int
    length: int
    dimension: int
    build: "Callable[[str, int], nn.Module]"
    frames: int | None = None
    fps: Fraction = Fraction(25)
    mean: Colour = (0.5, 0.5, 0.5)
    deviation: Colour = (0.5, 0.5, 0.5)
    flow_overrides: Mapping[str, Any] = field(default_factory=dict)
    classifier_length: int | None = None
    openvino: bool = False

    def scale_rgb(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures ``[..., W, 3]`` of 0..255 to what the network was trained on (I3D: [-1, 1])."""
        deviation = np.array(self.deviation)
        scale, shift = 1 / (255 * deviation), np.array(self.mean) / deviation
        # A row of pixels at a time: over three values alone the loop would be most of the work.
        width = pictures.shape[-2]
        rows = np.ascontiguousarray(pictures).reshape(-1, 3 * width)
        scaled = np.multiply(rows, np.tile(scale.astype(np.float32), width), dtype=np.float32)
        scaled -= np.tile(shift.astype(np.float32), width)
        return scaled.reshape(pictures.shape)


def _inception(stream: str, classes: int) -> "nn.Module":
    from extract.backbones.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes)


def _inception_mini(stream: str, classes: int) -> "nn.Module":
    from extract.backbones.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes, width=0.25, pool="whole")


def _zoo(name: str) -> "Callable[[str, int], nn.Module]":
    def build(stream: str, classes: int) -> "nn.Module":
        from extract.backbones.zoo import ZooNetwork

        return ZooNetwork(name)

    return build


_I3D = BackboneRecord("i3d", STREAMS, 256, 224, 16, 1024, _inception, classifier_length=64)
_SLOW = BackboneRecord(
    name="slow_r50",
    streams=("rgb",),
    frame_side=256,
    crop=256,
    length=64,
    dimension=2048,
    build=_zoo("slow_r50"),
    frames=8,
    fps=Fraction(30),
    mean=(0.45, 0.45, 0.45),
    deviation=(0.225, 0.225, 0.225),
    openvino=True,
)

BACKBONES: dict[str, BackboneRecord] = {
    record.name: record
    for record in (
        _I3D,
        replace(_I3D, name="i3d-scratch"),
        replace(_I3D, name="i3d-k600", streams=("rgb",)),
        replace(_I3D, name="i3d-charades"),
        BackboneRecord(
            name="i3d-mini",
            streams=STREAMS,
            frame_side=72,
            crop=64,
            length=16,
            dimension=256,
            build=_inception_mini,
            flow_overrides={"scales": 4, "warps": 3, "iterations": 30},
        ),
        _SLOW,
        replace(_SLOW, name="i3d_r50", build=_zoo("i3d_r50")),
        replace(_SLOW, name="x3d_m", length=80, frames=16, build=_zoo("x3d_m")),
    )
}


def backbone_record(name: str) -> BackboneRecord:
    """The record of a backbone.

    Raises:
        ExtractError: there is none; the message names the nearest or those that there are.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(name, BACKBONES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(BACKBONES)}"
    raise ExtractError(f"no backbone '{name}'; {hint}")
