"""Tensors of a user's weights file, read without executing anything in it."""

import hashlib
import json
import math
import mmap
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weights.errors import WeightsError
from weights.formats.keys import COUNTER

WRAPPERS = ("model_state", "state_dict")  # training programs put the tensors below these keys
INDEX = ".index"  # suffix of a TensorFlow checkpoint, as is DATA
DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
MAX_HEADER = 100 << 20
NUMBERS = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    "BOOL": "?",
}
"""Number types of safetensors files -> numpy's names."""
ZIP = b"PK"
LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # torch before 1.6, no zip


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file or a torch checkpoint.

    Torch files are loaded with ``weights_only``, which executes nothing. Other pickles are refused:
    they are programs.

    Raises:
        WeightsError: the file is missing, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    with open(path, "rb") as file:
        head = file.read(len(LEGACY_TORCH))
    if _is_safetensors(head, path.stat().st_size):
        return read_safetensors(path)[0]
    if head.startswith(ZIP):
        _check_zip(path)
    if head.startswith((ZIP, LEGACY_TORCH)):
        return _read_torch(path)
    raise WeightsError(f"{path}: neither a safetensors file nor a torch checkpoint")


def refuse_checkpoint(path: Path) -> None:
    """Refuse a TensorFlow checkpoint, given by its folder, its prefix or any of its files.

    Raises:
        WeightsError: it is one; the message says how to convert it.
    """
    index = path.with_name(f"{path.name}{INDEX}")
    named = path.name.endswith(INDEX) or DATA.search(path.name) or index.is_file()
    if named or (path.is_dir() and any(path.glob(f"*{INDEX}"))):
        raise WeightsError(
            f"{path}: a TensorFlow checkpoint; convert it to safetensors (six lines, see "
            "'DeepMind's own checkpoints' in weights/README.md) and import that file"
        )


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and length <= min(size - 8, MAX_HEADER)


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file; the tensors are a memory map of it.

    Changes to a tensor stay in this process and never reach the file.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:  # checks every offset
            metadata = file.metadata() or {}
        return _map_tensors(path), metadata
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: cannot be read as a safetensors file ({error})") from error


def _map_tensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays on a private memory map of a safetensors file with a checked header."""
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    begin = 8 + int.from_bytes(mapped[:8], "little")
    found = {}
    for name, entry in json.loads(mapped[8:begin]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in NUMBERS:
            raise TypeError(f"{name} is {entry['dtype']}, which numpy lacks")
        kind, shape = NUMBERS[entry["dtype"]], entry["shape"]
        count, first = math.prod(shape), begin + entry["data_offsets"][0]
        found[name] = (
            np.frombuffer(mapped, kind, count, first).reshape(shape)
            if count
            else np.empty(shape, kind)
        )
    return found


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tensors that are refused below
            tree: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile or broken file may raise anything; nothing in it ran
        raise WeightsError(
            f"{path}: refused, it is damaged or holds more than tensors ({_first_line(error)})"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(torch.is_tensor(value) for value in tree.values()):
        raise WeightsError(f"{path}: not a dictionary of tensors")
    return {str(name): _array(str(name), value, path) for name, value in tree.items()}


def _array(name: str, value: Any, path: Path) -> np.ndarray:
    """A dense tensor as an array; bfloat16 as float32, since numpy lacks it."""
    import torch

    try:
        dense = value.detach()
        return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())
    except (RuntimeError, TypeError) as error:
        raise WeightsError(
            f"{path}: {name} is not a dense tensor ({_first_line(error)})"
        ) from error


def _check_zip(path: Path) -> None:
    """Refuse a damaged archive, and a compressed one: torch never compresses, a zip bomb does."""
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: truncated, the end of its zip archive is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise WeightsError(f"{path}: refused, it is compressed, which torch never does")
            damaged = archive.testzip()
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: damaged zip archive ({_first_line(error)})") from error
    if damaged is not None:
        raise WeightsError(f"{path}: damaged, the checksum of its part {damaged} is wrong")


def _first_line(error: Exception) -> str:
    """Torch's message on one line, without its advice to load the file unsafely."""
    text = " ".join(str(error).split())
    forbidden = re.search(r"GLOBAL ([\w.]+)", text)
    if forbidden:
        return f"it asks for {forbidden[1]}"
    if "weights_only" in text or not text:
        return type(error).__name__
    return text.partition(". ")[0][:160]


def content_hash(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, shapes and float32 values in order of name, without batch counters.

    It identifies a network, whatever file the network came from.
    """
    return hash_of((name, tensors[name]) for name in sorted(tensors))


def hash_of(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """`content_hash` of tensors that come one at a time in order of name."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        if name.endswith(f".{COUNTER}"):
            continue
        value = np.ascontiguousarray(tensor, dtype="<f4")
        digest.update(f"{name}\0{value.shape}\0".encode())
        digest.update(value.data)
    return digest.hexdigest()
