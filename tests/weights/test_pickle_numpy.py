import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from weights import WeightsError
from weights.pickle_numpy import load_arrays


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


def test_objects_and_text_are_refused() -> None:
    for tree in ({"a": "text"}, {"a": np.array(["text"])}, {"a": np.array([{}], object)}, [1]):
        with pytest.raises(WeightsError, match="no numeric array"):
            load_arrays(io.BytesIO(pickle.dumps(tree)), "x")


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
