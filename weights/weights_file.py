"""The file in which a network's weights are kept: safetensors with our tensor names.

Weights of all formats are converted to it once. Its metadata record where they came from and the
hash of the tensors' content, which is checked at each use.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from weights.errors import WeightsError
from weights.files import atomic_write, cache_folder
from weights.formats.keys import exactly, to_i3d
from weights.formats.libraries import library_shapes
from weights.formats.tensor_files import content_hash, read_safetensors
from weights.json_documents import JsonError, decode_json
from weights.manifest import HERE, Network

METADATA_KEY = "basnet"


@dataclass(frozen=True)
class WeightsFile:
    """A verified local file.

    Attributes:
        path: safetensors file with our tensor names, or the folder of a model of transformers.
        sha256: hash of the tensors' content (`content_hash`), which depends on their values alone.
        source: where the weights came from.
        meta: the file's metadata; of a folder its ``model_type``, and ``classes`` if it has a
            classifier.
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
    """Path of a network's weights on this machine, whether they exist or not."""
    if item.bundled:
        return HERE / item.bundled
    if item.model:
        return model_folder(item.model)
    return cache_folder() / "weights" / f"{item.name}-{item.stream}.safetensors"


def model_folder(name: str) -> Path:
    """Folder of a model of transformers in the cache, by its name on the hub."""
    return cache_folder() / "models" / name.replace("/", "--")


def check_file(path: Path) -> WeightsFile:
    """Read a weights file and compare its content with the recorded hash.

    Raises:
        WeightsError: it is damaged or was not written by this program.
    """
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


def convert(item: Network, tensors: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """The tensors of a file ``where`` under our names.

    Raises:
        WeightsError: they are not exactly those of the network.
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
    names = {"name": item.name, "stream": item.stream, "licence": item.licence}
    path = local_file(item)
    write_weights(path, tensors, {**names, "origin": dict(origin)})
    return check_file(path)


def write_weights(path: Path, tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write tensors with their metadata and the hash of their content.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    from safetensors.numpy import save

    text = json.dumps({**meta, "content": content_hash(tensors)}, sort_keys=True)
    with atomic_write(path) as file:
        file.write(save(dict(tensors), metadata={METADATA_KEY: text}))
