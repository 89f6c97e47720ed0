"""Weights as the package ships them: float16, with their making in the metadata."""

from pathlib import Path

import numpy as np

from weights.formats.keys import COUNTER
from weights.weights_file import write_weights


def write_bundled(path, tensors, meta):
    """Write a network's state dict as arrays.

    ``meta`` holds at least ``name``, ``stream``, ``classes`` (in the order of the logits) and the
    ``command`` that made them where there is one.
    """
    halves = {
        name: np.ascontiguousarray(value, dtype=np.float16)
        for name, value in tensors.items()
        if not name.endswith(f".{COUNTER}")
    }
    origin = {"source": "trained"} | {k: meta[k] for k in ("command",) if k in meta}
    write_weights(Path(path), halves, {**meta, "origin": origin})
