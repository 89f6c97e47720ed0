from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weights import WeightsError
from weights.tensorflow_bundle import bundle_prefix, read_bundle

Writer = Callable[..., Path]


def made() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {f"scope/{n % 7}/layer_{n}/w": (n % 4 + 1, 3, 200 if n == 5 else 1) for n in range(120)}
    found = {name: rng.normal(size=size).astype("<f4") for name, size in sizes.items()}
    return {**found, "scalar": np.array(2.5, "<f4")}


@pytest.mark.parametrize("per_block", [1, 16, 17, 1000])
def test_a_checkpoint_comes_back(tmp_path: Path, bundle_writer: Writer, per_block: int) -> None:
    tensors = made()
    bundle_writer(tmp_path / "model.ckpt", tensors, per_block)
    found = read_bundle(tmp_path / "model.ckpt")
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(found[name], value)


# What TensorFlow 2.21 itself wrote for {scope/a/w: [[0, 1, 2], [3, 4, 5]], scope/a/b: [1.5]} in
# float32 and {step: 7} in int64.
INDEX = """
00000608011a02080100090f73636f70652f612f6208011204120208012804355e2fe1a7080115770801120812020802
120208032004281835c0db3d1701030d74657008091200201c280835bbd79f11000000000100000000e9c41cd5000000
000100000000c0f2a1b00001027400580000000001000000006430953e5d086a0e000000000000000000000000000000
00000000000000000000000000000000000000000057fb808b247547db
"""
VALUES = "0000c03f000000000000803f0000004000004040000080400000a0400700000000000000"


def test_a_checkpoint_that_tensorflow_wrote(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt.index").write_bytes(bytes.fromhex(INDEX))
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes.fromhex(VALUES))
    found = read_bundle(tmp_path / "model.ckpt")
    assert found.keys() == {"scope/a/w", "scope/a/b", "step"}
    assert found["scope/a/w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (found["scope/a/b"].tolist(), found["step"].tolist()) == ([1.5], 7)


def literals(data: bytes) -> bytes:
    """Snappy's format without a single copy."""
    size, out = len(data), b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    out += bytes([size])
    for first in range(0, len(data), 60):
        part = data[first : first + 60]
        out += bytes([len(part) - 1 << 2]) + part
    return out


def test_a_compressed_index(tmp_path: Path, bundle_writer: Writer) -> None:
    tensors = made()
    bundle_writer(tmp_path / "model.ckpt", tensors, 16, literals)
    found = read_bundle(tmp_path / "model.ckpt")
    assert found.keys() == tensors.keys()
    np.testing.assert_array_equal(found["scalar"], 2.5)


def test_every_file_of_a_checkpoint_leads_to_it(tmp_path: Path, bundle_writer: Writer) -> None:
    index = bundle_writer(tmp_path / "model.ckpt", made())
    prefix = tmp_path / "model.ckpt"
    for path in (index, prefix, tmp_path / "model.ckpt.data-00000-of-00001"):
        assert bundle_prefix(path) == prefix
    assert bundle_prefix(tmp_path / "rgb_imagenet.pt") is None
    assert bundle_prefix(tmp_path) == prefix
    (tmp_path / "other.index").touch()
    with pytest.raises(WeightsError, match="a folder with 2 TensorFlow checkpoints"):
        bundle_prefix(tmp_path)


def test_damage_is_refused(tmp_path: Path, bundle_writer: Writer) -> None:
    index = bundle_writer(tmp_path / "model.ckpt", made())
    data, whole = tmp_path / "model.ckpt.data-00000-of-00001", index.read_bytes()
    for damaged in (b"", whole[:-1], whole[100:], whole[:50] + b"\xff" + whole[51:]):
        index.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.ckpt\.index: not a readable"):
            read_bundle(tmp_path / "model.ckpt")
    index.write_bytes(whole)
    values = data.read_bytes()
    data.write_bytes(values[:700] + bytes([values[700] ^ 1]) + values[701:])
    with pytest.raises(WeightsError, match=r"the checksum of scope/\S+ is wrong"):
        read_bundle(tmp_path / "model.ckpt")
    data.write_bytes(values[:-1])
    with pytest.raises(WeightsError, match="too short"):
        read_bundle(tmp_path / "model.ckpt")
    data.unlink()
    with pytest.raises(WeightsError, match="data-00000-of-00001 is missing"):
        read_bundle(tmp_path / "model.ckpt")
