"""Read a pickle of plain containers and numpy arrays, and execute nothing.

A pickle is a program: it may name any callable and have it called. This reader looks up three
names of numpy, the ones that rebuild an array, and refuses every other.
"""

import pickle
from typing import IO, Any

import numpy as np

from weights.errors import WeightsError

MAX_NODES = 10_000  # arrays and dictionaries; a pickle may hold itself, or copies of copies
ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """An empty array, filled afterwards by the array's own state; subclasses are refused."""
    if kind is not np.ndarray or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array is rebuilt in an unusual way")
    return np.ndarray(shape, dtype=np.dtype(np.int8))


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The only names that the file may use."""
        if name == "_reconstruct" and module in ARRAY_MODULES:
            return _reconstruct
        if module == "numpy" and name == "ndarray":
            return np.ndarray
        if module == "numpy" and name == "dtype":
            return np.dtype
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """References to things outside the file are refused."""
        raise pickle.UnpicklingError("it refers to something outside the file")


def load_arrays(file: IO[bytes], where: str) -> dict[str, np.ndarray]:
    """Arrays of a nested dictionary as ``path/to/leaf -> array``.

    Args:
        file: binary file standing at the start of the pickle.
        where: how to call it in an error.

    Raises:
        WeightsError: it is no pickle, or holds anything but dictionaries of numeric arrays.
    """
    try:
        tree = _Reader(file).load()
    except Exception as error:  # a broken pickle may raise anything; nothing of it was executed
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{where}: not a plain pickle of arrays ({reason})") from error
    found: dict[str, np.ndarray] = {}
    waiting = [("", tree)]
    for _ in range(MAX_NODES):
        if not waiting:
            return found
        path, node = waiting.pop()
        if isinstance(node, dict):
            waiting += [(f"{path}/{key}" if path else str(key), node[key]) for key in node]
        elif isinstance(node, np.ndarray) and node.dtype.kind in "fiu":
            found[path] = node
        else:
            raise WeightsError(f"{where}: {path or 'the top'} is no numeric array")
    raise WeightsError(
        f"{where}: more than {MAX_NODES} arrays and dictionaries, or one within itself"
    )
