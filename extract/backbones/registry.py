"""The registry of backbones: networks that turn a clip of frames into one feature vector.

A backbone is one `BackboneSpec`, which states all that its network expects of a clip. To add one,
add an entry to ``BACKBONES`` and, for its weights, one to ``weights/manifest.toml``. If a library
states the preprocessing of its networks, their specs are read from it on demand.
"""

import difflib
import functools
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.backbones.spec import BackboneSpec
from extract.backbones.torchvision_video import CLIPS, torchvision_spec
from extract.backbones.transformers_model import KNOWN, model_spec
from extract.errors import ExtractError
from extract.streams import CHANNELS, STREAMS
from weights.registry import resolve_model

if TYPE_CHECKING:
    from torch import nn


HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def _inception(stream: str, classes: int, **form: Any) -> "nn.Module":
    from extract.backbones.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes, **form)


def _pytorchvideo(name: str) -> "Callable[[str, int], nn.Module]":
    def build(stream: str, classes: int) -> "nn.Module":
        from extract.backbones.pytorchvideo import PytorchvideoNetwork

        return PytorchvideoNetwork(name)

    return build


_I3D = BackboneSpec(
    name="i3d",
    streams=STREAMS,
    frame_side=256,
    crop=224,
    length=16,
    dimension=1024,
    build=_inception,
    classifier_length=64,
    winograd=True,
    single_thread_per_clip=True,
)
_SLOW = BackboneSpec(
    name="slow_r50",
    streams=("rgb",),
    frame_side=256,
    crop=256,
    length=64,
    dimension=2048,
    build=_pytorchvideo("slow_r50"),
    frames=8,
    fps=Fraction(30),
    mean=(0.45, 0.45, 0.45),
    deviation=(0.225, 0.225, 0.225),
)

BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        _I3D,
        replace(_I3D, name="i3d-scratch"),
        replace(_I3D, name="i3d-k600", streams=("rgb",)),
        replace(_I3D, name="i3d-charades"),
        BackboneSpec(
            name="i3d-mini",
            streams=STREAMS,
            frame_side=72,
            crop=64,
            length=16,
            dimension=256,
            build=functools.partial(_inception, width=0.25, pool="whole"),
            flow_overrides={"scales": 4, "warps": 3, "iterations": 30},
            single_thread_per_clip=True,
        ),
        _SLOW,
        replace(_SLOW, name="i3d_r50", build=_pytorchvideo("i3d_r50")),
        replace(_SLOW, name="x3d_m", length=80, frames=16, build=_pytorchvideo("x3d_m")),
    )
}


def backbone_names() -> tuple[str, ...]:
    """Names of all backbones."""
    return (*BACKBONES, *CLIPS, *KNOWN)


def _model(name: str) -> BackboneSpec | None:
    """A model of transformers by its folder or its name on the hub."""
    for spec in KNOWN.values():
        if name in (spec.name, spec.model):
            return spec
    if Path(name).is_dir():
        return model_spec(Path(name).resolve().name, Path(name))
    if HUB_NAME.fullmatch(name):
        found = model_spec(name, resolve_model(name).path)
        return replace(found, model=name)
    return None


def backbone_spec(name: str) -> BackboneSpec:
    """The spec of a backbone.

    Args:
        name: a name of `backbone_names`, or a model of transformers: its name on the hub
            (``owner/model``) or its folder.

    Raises:
        ExtractError: the name is unknown; the message names the nearest or all known names.
        WeightsError: a model of the hub is not here and cannot be downloaded.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if name in CLIPS:
        return torchvision_spec(name)
    model = _model(name)
    if model is not None:
        return model
    near = difflib.get_close_matches(name, backbone_names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(backbone_names())}"
    raise ExtractError(f"no backbone '{name}'; {hint}")
