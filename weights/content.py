"""The hash that a network is known by: of its tensors' content, whatever file they came from."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from weights.keys import COUNTER


def content_hash(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and float32 values in order of name; batch counters left out."""
    return hash_of((name, tensors[name]) for name in sorted(tensors))


def hash_of(tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """As `content_hash`, of tensors that come one at a time in order of name."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        if name.endswith(f".{COUNTER}"):
            continue
        value = np.ascontiguousarray(tensor, dtype="<f4")
        digest.update(f"{name}\0{value.shape}\0".encode())
        digest.update(value.data)
    return digest.hexdigest()
