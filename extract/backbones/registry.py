"""The table of backbones: networks that turn a clip of frames into one feature vector.

A backbone is one `BackboneRecord`, which carries all that its network expects of a clip, so that it
never meets the wrong preprocessing. Adding one is adding one entry to ``BACKBONES`` (and, for its
weights, one to ``weights/manifest.toml``). Records of networks whose library states their
preprocessing are read from the library when they are asked for.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from extract.backbones.spec import BackboneRecord
from extract.backbones.torchvision_video import TORCHVISION, torchvision_record
from extract.backbones.transformers_model import KNOWN, model_record
from extract.errors import ExtractError
from extract.streams import CHANNELS, STREAMS
from weights.registry import resolve_model

if TYPE_CHECKING:
    from torch import nn


HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def _inception(stream: str, classes: int) -> "nn.Module":
    from extract.backbones.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes)


def _inception_mini(stream: str, classes: int) -> "nn.Module":
    from extract.backbones.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes, width=0.25, pool="whole")


def _zoo(name: str) -> "Callable[[str, int], nn.Module]":
    def build(stream: str, classes: int) -> "nn.Module":
        from extract.backbones.pytorchvideo import ZooNetwork

        return ZooNetwork(name)

    return build


_I3D = BackboneRecord(
    name="i3d",
    streams=STREAMS,
    frame_side=256,
    crop=224,
    length=16,
    dimension=1024,
    build=_inception,
    classifier_length=64,
    winograd=True,
    clip_a_thread=True,
)
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
            clip_a_thread=True,
        ),
        _SLOW,
        replace(_SLOW, name="i3d_r50", build=_zoo("i3d_r50")),
        replace(_SLOW, name="x3d_m", length=80, frames=16, build=_zoo("x3d_m")),
    )
}


def backbone_names() -> tuple[str, ...]:
    """Names of all backbones."""
    return (*BACKBONES, *TORCHVISION, *KNOWN)


def _model(name: str) -> BackboneRecord | None:
    """The record of a model of transformers by its folder or its name on the hub."""
    for record in KNOWN.values():
        if name in (record.name, record.model):
            return record
    if Path(name).is_dir():
        return model_record(Path(name).resolve().name, Path(name))
    if HUB_NAME.fullmatch(name):
        found = model_record(name, resolve_model(name).path)
        return replace(found, model=name)
    return None


def backbone_record(name: str) -> BackboneRecord:
    """The record of a backbone.

    Args:
        name: of the table, or a model of transformers: its name on the hub (``owner/model``), or
            its folder.

    Raises:
        ExtractError: there is none; the message names the nearest or those that there are.
        WeightsError: a model that the table does not hold is not here and cannot be had.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if name in TORCHVISION:
        return torchvision_record(name)
    model = _model(name)
    if model is not None:
        return model
    near = difflib.get_close_matches(name, backbone_names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(backbone_names())}"
    raise ExtractError(f"no backbone '{name}'; {hint}")
