"""Read a pickle of plain containers and numeric numpy arrays without executing anything in it.

A pickle is a program: it may name any callable and have it called. This reader knows the three
names that numpy uses to rebuild an array and answers them with classes of its own, so that no code
of numpy ever sees what the pickle says before it is checked. One published file needs this; its
hash is checked first. Files that users bring are never read as pickles.
"""

import pickle
import re
from typing import IO, Any

import numpy as np

from weights.errors import WeightsError

MAX_NODES = 10_000  # arrays and dictionaries; a pickle may hold itself, or copies of copies
ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMBER = re.compile(r"[fiu][1248]")
PLAIN = (None, None, None)  # neither sub-arrays nor named fields


class _NumberType:
    """Stands for ``numpy.dtype``: a plain number type and nothing else."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not NUMBER.fullmatch(code):
            raise pickle.UnpicklingError(f"{code[:20]!r} is not a plain number type")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, order, *structure = state
        if version != 3 or order not in ("<", ">", "|") or tuple(structure[:3]) != PLAIN:
            raise pickle.UnpicklingError("a number type with a structure")
        self.code = order + self.code


class _Array:
    """Stands for ``numpy.ndarray`` and for the function that makes an empty one."""

    value: np.ndarray | None = None

    def __init__(self, kind: type, shape: tuple[int, ...], code: bytes) -> None:
        if kind is not _Array or shape != (0,):
            raise pickle.UnpicklingError("an array is rebuilt in an unusual way")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, kind, fortran, data = state
        if type(kind) is not _NumberType or type(data) is not bytes:
            raise pickle.UnpicklingError("an array of something else than numbers")
        numbers = np.frombuffer(data, kind.code) if data else np.empty(0, kind.code)
        self.value = numbers.reshape(shape, order="F" if fortran else "C")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The only names that the file may use."""
        if (name == "_reconstruct" and module in ARRAY_MODULES) or (module, name) == (
            "numpy",
            "ndarray",
        ):
            return _Array
        if (module, name) == ("numpy", "dtype"):
            return _NumberType
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """References to things outside the file are refused."""
        raise pickle.UnpicklingError("it refers to something outside the file")


def load_arrays(file: IO[bytes], where: str) -> dict[str, np.ndarray]:
    """Arrays of a nested dictionary as ``path/to/leaf -> array``; they cannot be written to.

    Args:
        file: binary file positioned at the start of the pickle.
        where: what to call it in an error.

    Raises:
        WeightsError: it is not a pickle, or holds anything but dictionaries of numeric arrays.
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
        if type(node) is dict and all(type(key) is str for key in node):
            waiting += [(f"{path}/{key}" if path else key, node[key]) for key in node]
        elif type(node) is _Array and node.value is not None:
            found[path] = node.value
        else:
            raise WeightsError(f"{where}: {path or 'the top'} is not a numeric array")
    raise WeightsError(
        f"{where}: more than {MAX_NODES} arrays and dictionaries, or one within itself"
    )
