"""A model of transformers: a folder with its configuration, preprocessing and safetensors files.

It comes from a model hub by its name (``owner/model``) or from the user. Only data files are used
(JSON, safetensors, vocabularies), never pickles or programs.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec import Struct

from weights.errors import WeightsError
from weights.files import write_text
from weights.formats.tensor_files import hash_of
from weights.json_documents import JsonError, convert
from weights.weights_file import WeightsFile

T = TypeVar("T")
CONFIG = "config.json"
TENSORS = "*.safetensors"
INDEX = "model.safetensors.index.json"
DATA = ("*.json", TENSORS, "*.txt", "*.model")
RECORD = ".basnet"  # in a folder of the cache: the hash of its tensors, and its source
EXTRA = "pip install basnet-e2e[transformers]"


def check_folder(path: Path) -> WeightsFile:
    """Read a model's folder, and compare it with its recorded hash if it is in the cache.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    config = _read(path / CONFIG, _Config)
    found = hash_of(_tensors(path))
    recorded = path / RECORD
    record = _read(recorded, _Record) if recorded.is_file() else _Record(found, str(path))
    if record.content != found:
        raise WeightsError(
            f"{path}: damaged, the hash of its tensors is {found}, recorded {record.content}"
        )
    meta: dict[str, Any] = {"model_type": config.model_type}
    classifies = any(name.endswith("Classification") for name in config.architectures or ())
    if classifies and config.id2label is not None:
        meta["classes"] = [config.id2label[key] for key in sorted(config.id2label)]
    return WeightsFile(path, found, record.source, meta)


class _Config(Struct):
    """The part of ``config.json`` that is read here."""

    model_type: str | None = None
    architectures: list[str] | None = None
    id2label: dict[int, str] | None = None


class _Record(Struct):
    content: str
    source: str


class _Index(Struct):
    weight_map: dict[str, str] = {}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model's folder.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    if not path.is_file():
        raise WeightsError(f"{path.parent}: not a model of transformers, it has no {path.name}")
    try:
        # Not parse_json: some configurations of transformers hold Infinity.
        return convert(json.loads(path.read_bytes()), dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged JSON ({error})") from error


def _read(path: Path, kind: type[T]) -> T:
    try:
        return convert(read_json(path), kind)
    except JsonError as error:
        raise WeightsError(f"{path}: damaged ({error})") from error


def _tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of every tensor in order of name, one in memory at a time."""
    from safetensors import SafetensorError, safe_open

    files = sorted(path.glob(TENSORS))
    if (path / INDEX).is_file():
        parts = set(_read(path / INDEX, _Index).weight_map.values())
        missing = sorted(parts - {file.name for file in files})
        if missing:
            raise WeightsError(f"{path}: {missing[0]}, a part of the weights, is missing")
    if not files:
        raise WeightsError(f"{path}: has no weights ({TENSORS})")
    holders: dict[str, Any] = {}
    try:
        for file in files:
            opened = safe_open(str(file), framework="pt")  # numpy lacks bfloat16
            holders |= dict.fromkeys(opened.keys(), opened)
        for name in sorted(holders):
            yield name, holders[name].get_tensor(name).float().numpy()
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file}: cannot be read as a safetensors file ({error})") from error


def fetch_model(name: str, target: Path) -> WeightsFile:
    """Download a model from the hub into a folder of the cache and record its hash.

    Raises:
        WeightsError: the hub cannot be reached, has no such model, or transformers is missing.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise WeightsError(f"transformers is not installed; install the extra: {EXTRA}") from error
    try:
        snapshot_download(name, local_dir=target, allow_patterns=list(DATA))
    except Exception as error:  # the hub, the network and the disk raise many kinds
        text = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{name} could not be downloaded: {text[:160]}") from error
    return _recorded(target, name)


def import_model(path: Path, target: Path) -> WeightsFile:
    """Copy a user's model folder into the cache.

    Raises:
        WeightsError: it is not a model, or damaged; nothing is kept.
        OSError: the disk is full or the cache folder cannot be written.
    """
    check_folder(path)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for file in (file for pattern in DATA for file in path.glob(pattern)):
            shutil.copyfile(file, part / file.name)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _recorded(target, "import")


def _recorded(path: Path, source: str) -> WeightsFile:
    """Record the hash of a folder's tensors, to compare it at each use."""
    (path / RECORD).unlink(missing_ok=True)
    found = replace(check_folder(path), source=source)
    write_text(path / RECORD, json.dumps({"content": found.sha256, "source": source}))
    return found
