"""The model file: a trained network and everything that is needed to apply it, as safetensors.

Its metadata key ``basnet`` holds JSON: format version, the head with its settings in their parts,
classes, widths, the extractor settings its features came from and a summary of the training. No
clock, host or path, so equal training gives equal bytes. Older formats are upgraded.
"""

import copy
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from basnet_e2e.data.files.model_metadata import FORMAT_VERSION, KIND, METADATA_KEY, parse_metadata
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.ensemble import Ensemble, build
from basnet_e2e.heads.presets import preset_from_flat, preset_from_json
from basnet_e2e.heads.registry import DEFAULT_HEAD
from basnet_e2e.intervals import TRAINED
from extract.errors import DiskError
from weights.files import atomic_write


@dataclass(frozen=True)
class HeadModel:
    """A trained network and everything that is needed to apply it.

    Attributes:
        net: the network, or several of them, in evaluation mode.
        classes: action classes in the order of the network's outputs.
        preset: the head and its settings, with the number of segments that was used.
        shape: what the network was built for.
        extractor: settings that features must have been made with.
        training: summary: steps, seed, loss of the last step, videos, ...
        name: of the model in results; the file's name without suffix.
    """

    net: nn.Module
    classes: tuple[str, ...]
    preset: Preset
    shape: Shape
    extractor: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    name: str = "model"

    def made(self, video: str) -> dict[str, Any]:
        """What a result of a video records: whether the model was trained on its times."""
        return {TRAINED: True} if video in self.training.get("times", ()) else {}

    def copy_on(self, device: torch.device) -> "HeadModel":
        """The model with its network on a device; itself where it is there already."""
        if next(self.net.parameters()).device == device:
            return self
        return replace(self, net=copy.deepcopy(self.net).to(device))

    def digest(self) -> str:
        """Short id of what it computes: weights, classes and how the output is read."""
        digest = hashlib.sha256(repr((self.classes, self.preset.recipe)).encode())
        digest.update(json.dumps(self.preset.to_json(), sort_keys=True).encode())
        for name, tensor in sorted(self.net.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]


def save_model(model: HeadModel, path: str | os.PathLike[str]) -> None:
    """Write a model file, whole or not at all.

    Raises:
        BasnetError: the folder cannot be written or the disk is full.
    """
    from safetensors.torch import save

    meta = {
        "format": FORMAT_VERSION,
        "kind": KIND,
        "classes": list(model.classes),
        "features": model.shape.features,
        "streams": list(model.shape.streams),
        "settings": model.preset.to_json(),
        "extractor": model.extractor,
        "training": model.training,
    }
    if isinstance(model.net, Ensemble):
        meta["members"] = len(model.net.members)
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.net.state_dict().items()
    }
    try:
        with atomic_write(path) as file:
            file.write(save(tensors, metadata={METADATA_KEY: text}))
    except OSError as error:
        raise DiskError.of(error, path, "the model") from error


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> HeadModel:
    """Read a model file.

    Raises:
        BasnetError: the file is missing, damaged, or no model file of this format.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise BasnetError(f"{path}: no such model file; train one with 'basnet train'")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            meta = parse_metadata(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BasnetError(
            f"{path}: cannot be read as a model file, damaged or of another program ({error})"
        ) from error
    try:
        meta = _upgraded(meta)
        preset = preset_from_json(meta["settings"])
        shape = Shape(meta["features"], len(meta["classes"]), tuple(meta["streams"]))
        with torch.device("meta"):  # sizes out of a damaged file must not take memory
            net = build(shape, preset, meta.get("members"))
        net.load_state_dict(tensors, assign=True)
        model = HeadModel(
            net.float().eval().to(device),
            tuple(meta["classes"]),
            preset,
            shape,
            dict(meta["extractor"]),
            dict(meta["training"]),
            Path(path).stem,
        )
    except (KeyError, TypeError, RuntimeError, BasnetError) as error:
        reason = " ".join(str(error).split())
        raise BasnetError(f"{path}: damaged model file ({reason}); train it again") from error
    return model


def _upgraded(meta: dict[str, Any]) -> dict[str, Any]:
    """Metadata of format 1 in today's form: there settings are side by side, the recipe apart."""
    if meta["format"] == FORMAT_VERSION:
        return meta
    settings = preset_from_flat(meta["preset"] | {"recipe": meta["recipe"]}, DEFAULT_HEAD)
    shape = Shape.of(meta["features"], len(meta["classes"]), meta["extractor"])
    return meta | {"settings": settings.to_json(), "streams": list(shape.streams)}
