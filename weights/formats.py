"""Tensors out of any weights file a user may bring, with nothing in it executed."""

import json
import math
import mmap
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from weights.errors import WeightsError

WRAPPERS = ("model_state", "state_dict")  # what training programs put around the tensors
INDEX = ".index"  # of TensorFlow's checkpoints, as is DATA
DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
MAX_HEADER = 100 << 20
NUMBERS = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    "BOOL": "?",
}
"""A safetensors file's names of number types, as numpy writes them."""
ZIP = b"PK"
LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # torch before 1.6, no zip


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file or a torch checkpoint.

    Torch files load with ``weights_only`` alone, which executes nothing. Other pickles are not
    read: they are programs.

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
    """Say how to convert a TensorFlow checkpoint, named by its folder, prefix or any of its files.

    Raises:
        WeightsError: it is one.
    """
    index = path.with_name(f"{path.name}{INDEX}")
    named = path.name.endswith(INDEX) or DATA.search(path.name) or index.is_file()
    if named or (path.is_dir() and any(path.glob(f"*{INDEX}"))):
        raise WeightsError(
            f"{path}: a TensorFlow checkpoint; let TensorFlow write it as safetensors (six lines, "
            "see 'DeepMind's own checkpoints' in weights/README.md) and import that file"
        )


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and length <= min(size - 8, MAX_HEADER)


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file, the tensors in a memory map of it.

    What is changed in a tensor stays in this process; the file keeps its content.

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
    """Arrays on a private memory map of a safetensors file whose header was checked.

    Raises:
        TypeError: a tensor's numbers are none of numpy's.
    """
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
            warnings.simplefilter("ignore")  # torch's are about tensors that are refused below
            tree: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile or broken file may raise anything; nothing of it ran
        raise WeightsError(
            f"{path}: refused, it is damaged or holds more than tensors ({_first_line(error)})"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(torch.is_tensor(value) for value in tree.values()):
        raise WeightsError(f"{path}: holds something else than a dictionary of tensors")
    return {str(name): _array(str(name), value, path) for name, value in tree.items()}


def _array(name: str, value: Any, path: Path) -> np.ndarray:
    """A dense tensor's numbers; bfloat16, which numpy lacks, as float32, which holds them all."""
    import torch

    try:
        dense = value.detach()
        return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())
    except (RuntimeError, TypeError) as error:
        raise WeightsError(f"{path}: {name} is no plain tensor ({_first_line(error)})") from error


def _check_zip(path: Path) -> None:
    """Refuse a damaged archive, and a compressed one: torch stores as it is, a bomb does not.

    Raises:
        WeightsError: it is one of those.
    """
    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: cut, the end of its zip archive is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise WeightsError(f"{path}: refused, its parts are compressed; torch stores them")
            damaged = archive.testzip()
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: damaged zip archive ({_first_line(error)})") from error
    if damaged is not None:
        raise WeightsError(f"{path}: damaged, the checksum of {damaged} in it is wrong")


def _first_line(error: Exception) -> str:
    """What torch says on one line, without its advice to load the file in the unsafe way."""
    text = " ".join(str(error).split())
    forbidden = re.search(r"GLOBAL ([\w.]+)", text)
    if forbidden:
        return f"it asks for {forbidden[1]}"
    if "weights_only" in text or not text:
        return type(error).__name__
    return text.partition(". ")[0][:160]
