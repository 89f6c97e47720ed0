"""The file that a network's weights are kept in: safetensors with our tensor names.

Weights in any form are converted to it once. Its metadata record where they came from and the hash
of the tensors' content, which is checked at each use.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from weights.errors import WeightsError
from weights.files import atomic_write, cache_folder
from weights.formats import content_hash, read_safetensors
from weights.huggingface import ModelFolder, check_folder, model_folder
from weights.json_documents import JsonError, decode_json
from weights.keys import exactly, to_i3d
from weights.libraries import library_shapes
from weights.manifest import HERE, Network

log = logging.getLogger(__name__)

METADATA_KEY = "basnet"


@dataclass(frozen=True)
class WeightsFile:
    """A verified local file.

    Attributes:
        path: safetensors file with our tensor names, or the folder of a model of transformers.
        sha256: hash of the tensors' content (`content_hash`), which depends on their values alone.
        source: where the weights came from.
        meta: the file's metadata.
    """

    path: Path
    sha256: str
    source: str
    meta: dict[str, Any]

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights by name, as float32; float32 files are memory-mapped."""
        found, _ = read_safetensors(self.path)
        return {name: value.astype(np.float32, copy=False) for name, value in found.items()}


class _Origin(Struct):
    source: str


class _Metadata(Struct):
    """The metadata that every reader needs."""

    content: str
    origin: _Origin


def local_file(item: Network) -> Path:
    """Path of a network's weights on this machine, whether they are there or not."""
    if item.bundled:
        return HERE / item.bundled
    if item.model:
        return model_folder(item.model)
    return cache_folder() / "weights" / f"{item.name}-{item.stream}.safetensors"


def check(path: Path) -> WeightsFile:
    """Read weights and compare their content with its recorded hash.

    Raises:
        WeightsError: they are damaged or were not written by this program.
    """
    if path.is_dir():
        return as_file(check_folder(path))
    tensors, metadata = read_safetensors(path)
    try:
        recorded = decode_json(metadata[METADATA_KEY], _Metadata)
        meta = decode_json(metadata[METADATA_KEY], dict[str, Any])
    except (KeyError, JsonError) as error:
        raise WeightsError(f"{path}: not a weights file of basnet") from error
    found = content_hash(tensors)
    if found != recorded.content:
        raise WeightsError(
            f"{path}: damaged, the hash of its tensors is {found}, recorded {recorded.content}"
        )
    return WeightsFile(path, found, recorded.origin.source, meta)


def as_file(folder: ModelFolder) -> WeightsFile:
    """A model of transformers, which is a folder."""
    return WeightsFile(folder.path, folder.sha256, folder.source, folder.meta)


def convert(item: Network, tensors: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """A network's tensors under our names.

    Args:
        item: the network.
        tensors: the content of a file.
        where: the file, for errors.

    Raises:
        WeightsError: the file does not hold exactly this network.
    """
    if item.architecture == "i3d":
        return to_i3d(tensors, item.channels, item.classes, where)
    expected = library_shapes(item.architecture, item.name, item.classes)
    return exactly(tensors, expected, where)


def store(item: Network, tensors: dict[str, np.ndarray], origin: Mapping[str, Any]) -> WeightsFile:
    """Write a network's tensors to the cache and read them back.

    Raises:
        OSError: the disk is full or the cache folder cannot be written.
    """
    meta = {
        "name": item.name,
        "stream": item.stream,
        "licence": item.licence,
        "origin": dict(origin),
    }
    path = local_file(item)
    write_weights(path, tensors, meta)
    log.debug("%s written", path)
    return check(path)


def write_weights(path: Path, tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write tensors with their metadata and the hash of their content.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    from safetensors.numpy import save

    text = json.dumps({**meta, "content": content_hash(tensors)}, sort_keys=True)
    with atomic_write(path) as file:
        file.write(save(dict(tensors), metadata={METADATA_KEY: text}))
