import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from weights import WeightsError
from weights.formats.pickle_numpy import load_arrays

ROOT = Path(__file__).resolve().parents[2]


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nested_arrays_come_back(protocol: int) -> None:
    tree = {"params": {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3)}, "n": np.zeros(0)}
    if protocol not in (3, 4):  # the others ask for a codec or a buffer's reader: not looked up
        with pytest.raises(WeightsError, match=r"it asks for (_codecs|numpy\._core\.numeric)"):
            load_arrays(io.BytesIO(pickle.dumps(tree, protocol)), "x")
        return
    found = load_arrays(io.BytesIO(pickle.dumps(tree, protocol)), "x")
    assert found.keys() == {"params/a/b", "n"}
    np.testing.assert_array_equal(found["params/a/b"], tree["params"]["a/b"])


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    data = pickle.dumps({"a": np.zeros(3), "b": Hostile(marker)})
    with pytest.raises(WeightsError, match=r"evil: not a plain pickle of arrays.*system"):
        load_arrays(io.BytesIO(data), "evil")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("numpy", "load"), ("numpy", "fromfile"), ("os", "system")],
)
def test_no_other_name_is_looked_up(module: str, name: str) -> None:
    data = f"c{module}\n{name}\n(S'1'\ntR.".encode()
    with pytest.raises(WeightsError, match=f"it asks for {module}.{name}"):
        load_arrays(io.BytesIO(data), "x")


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({"a": "text"}, "a is not a numeric array"),
        ([1], "the top is not a numeric array"),
        ({(1, 2): np.zeros(1)}, "the top is not a numeric array"),
        ({"a": np.array(["text"])}, "'U4' is not a plain number type"),
        ({"a": np.array([{}], object)}, "'O8' is not a plain number type"),
        ({"a": np.zeros(2, [("x", "f4")])}, "'V4' is not a plain number type"),
        ({"a": np.zeros(2, "datetime64[s]")}, "'M8' is not a plain number type"),
    ],
)
def test_all_but_numbers_is_refused(tree: object, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        load_arrays(io.BytesIO(pickle.dumps(tree)), "x")


NUMBERS = st.sampled_from([np.dtype(f"{order}{kind}") for order in "<>" for kind in ("i2", "f8")])


@given(NUMBERS.flatmap(lambda kind: arrays(kind, array_shapes(min_side=0))), st.booleans())
def test_order_and_shape_come_back(array: np.ndarray, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = load_arrays(io.BytesIO(pickle.dumps({"a": array}, 4)), "x")["a"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def _text(value: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(value)]) + value.encode()


def _number(value: int) -> bytes:
    return pickle.BININT + value.to_bytes(4, "little", signed=True)


def _tuple(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _call(name: str, *arguments: bytes) -> bytes:
    return b"cnumpy\n%s\n%s%s" % (name.encode(), _tuple(*arguments), pickle.REDUCE)


def _structure(field: bytes, offset: int) -> bytes:
    """A type of eight bytes whose state claims a field that its own flags do not know of."""
    fields = pickle.EMPTY_DICT + _text("a") + _tuple(field, _number(offset)) + pickle.SETITEM
    state = (_number(3), _text("|"), b"N", _tuple(_text("a")), fields)
    sizes = (_number(8), _number(1), _number(0))
    return _call("dtype", _text("V8")) + _tuple(*state, *sizes) + pickle.BUILD


def _assigned(kind: bytes) -> bytes:
    """An array over eight bytes of the file's choice, and an assignment to its first element."""
    memory = pickle.BYTEARRAY8 + (8).to_bytes(8, "little") + b"A" * 8
    array = _call("ndarray", _tuple(_number(1)), kind, memory)
    return array + _number(0) + _tuple(_number(1)) + pickle.SETITEM


OBJECT, REAL = _call("dtype", _text("O8")), _call("dtype", _text("f4"))
CRASHES = {
    "array of objects": _assigned(OBJECT),
    "hidden object": _assigned(_structure(OBJECT, 0)),
    "field out of bounds": _assigned(_structure(REAL, 1 << 30)),
}
READ = """
import io, sys
from weights import WeightsError
from weights.formats.pickle_numpy import load_arrays
try:
    load_arrays(io.BytesIO(sys.stdin.buffer.read()), "x")
except WeightsError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", CRASHES)
def test_pointers_of_the_file_s_choice_are_never_followed(kind: str) -> None:
    """Held in a process of its own: a reader that builds these arrays dies of signal 11."""
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=b"\x80\x05" + CRASHES[kind] + b".",
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    assert b"is not a plain number type" in done.stdout


def test_a_cut_pickle_is_refused() -> None:
    data = pickle.dumps({"a": np.arange(100.0)})
    for end in (0, 1, 40, len(data) - 1):
        with pytest.raises(WeightsError):
            load_arrays(io.BytesIO(data[:end]), "x")


def test_a_pickle_within_itself_or_of_copies_of_copies_is_refused() -> None:
    within: dict[str, object] = {}
    within["again"] = within
    copies: dict[str, object] = {"a": np.zeros(1)}
    for _ in range(40):  # 2 ** 40 paths in some hundred bytes
        copies = {"a": copies, "b": copies}
    for tree in (within, copies):
        with pytest.raises(WeightsError, match="x: more than 10000"):
            load_arrays(io.BytesIO(pickle.dumps(tree)), "x")
