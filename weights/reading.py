"""Tensors out of any weights file a user may bring, with nothing in it executed."""

from pathlib import Path
from typing import Any

import numpy as np

from weights.errors import WeightsError
from weights.pickle_numpy import load_arrays
from weights.tensorflow_bundle import bundle_prefix, read_bundle

WRAPPERS = ("model_state", "state_dict")  # what training programs put around the tensors
MAX_HEADER = 100 << 20


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file, a torch checkpoint, a TensorFlow checkpoint or a pickle of arrays.

    Torch files load with ``weights_only`` alone, which executes nothing.

    Raises:
        WeightsError: the file is missing, damaged, or holds more than tensors.
    """
    prefix = bundle_prefix(path)
    if prefix is not None:
        return read_bundle(prefix)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    with open(path, "rb") as file:
        head = file.read(9)
    if _is_safetensors(head, path.stat().st_size):
        return read_safetensors(path)[0]
    return _read_torch(path)


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and length <= min(size - 8, MAX_HEADER)


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: cannot be read as a safetensors file ({error})") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    import torch

    try:
        tree: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile or broken file may raise anything; nothing of it ran
        return _read_pickle(path, _first_line(error))
    for wrapper in WRAPPERS:
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(torch.is_tensor(value) for value in tree.values()):
        raise WeightsError(f"{path}: holds something else than a dictionary of tensors")
    return {str(name): value.detach().numpy() for name, value in tree.items()}


def _read_pickle(path: Path, reason: str) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        try:
            return load_arrays(file, str(path))
        except WeightsError as error:
            raise WeightsError(
                f"{path}: refused, it is damaged or holds more than tensors ({reason})"
            ) from error


def _first_line(error: Exception) -> str:
    """What torch says, without its advice to load the file in the unsafe way."""
    text = str(error).strip()
    marker = "WeightsUnpickler error:"
    if marker in text:
        text = text.split(marker, 1)[1].strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return line[:200]
