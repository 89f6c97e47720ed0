"""Safetensors files in memory maps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save_file

from weights.errors import WeightsError
from weights.formats.tensor_files import NUMBERS, read_safetensors

KINDS = [np.dtype(name) for name in NUMBERS.values()]
SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
TENSORS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=4),
    st.sampled_from(KINDS).flatmap(lambda kind: arrays(kind, SHAPES)),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(TENSORS)
def test_a_map_holds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.mktemp("maps") / "some.safetensors"
    save_file(tensors, path, metadata={"kind": "test"})
    found, metadata = read_safetensors(path)
    assert metadata == {"kind": "test"}
    assert found.keys() == tensors.keys()
    for name, expected in tensors.items():
        assert (found[name].dtype, found[name].shape) == (expected.dtype, expected.shape)
        assert found[name].tobytes() == expected.tobytes()


def test_tensors_lie_in_the_file_s_map_and_changes_stay_here(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"x": np.arange(8, dtype=np.float32)}, path)
    before = path.read_bytes()
    found = read_safetensors(path)[0]["x"]
    assert found.base is not None
    found[:] = 7
    assert path.read_bytes() == before
    assert read_safetensors(path)[0]["x"].tolist() == list(range(8))


def test_numbers_that_numpy_lacks_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    path = tmp_path / "some.safetensors"
    save_tensors({"x": torch.ones(4, dtype=torch.bfloat16)}, path)
    with pytest.raises(WeightsError, match="BF16, which numpy lacks"):
        read_safetensors(path)


def test_a_cut_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"x": np.arange(8, dtype=np.float32)}, path)
    whole = path.read_bytes()
    for size in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="cannot be read as a safetensors file"):
            read_safetensors(path)
