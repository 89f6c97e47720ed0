from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weights import WeightsError
from weights.tensorflow_bundle import bundle_prefix, masked_crc32c, read_bundle

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


def test_the_checksum_is_the_one_that_leveldb_documents() -> None:
    # RFC 3720 appendix B.4: CRC-32C of 32 zero bytes is 0x8A9136AA
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_every_file_of_a_checkpoint_leads_to_it(tmp_path: Path, bundle_writer: Writer) -> None:
    index = bundle_writer(tmp_path / "model.ckpt", made())
    prefix = tmp_path / "model.ckpt"
    for path in (index, prefix, tmp_path / "model.ckpt.data-00000-of-00001"):
        assert bundle_prefix(path) == prefix
    assert bundle_prefix(tmp_path / "rgb_imagenet.pt") is None


def test_damage_is_refused(tmp_path: Path, bundle_writer: Writer) -> None:
    index = bundle_writer(tmp_path / "model.ckpt", made())
    data, whole = tmp_path / "model.ckpt.data-00000-of-00001", index.read_bytes()
    for damaged in (b"", whole[:-1], whole[100:], whole[:50] + b"\xff" + whole[51:]):
        index.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"model\.ckpt\.index: not a readable"):
            read_bundle(tmp_path / "model.ckpt")
    index.write_bytes(whole)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="too short"):
        read_bundle(tmp_path / "model.ckpt")
    data.unlink()
    with pytest.raises(WeightsError, match="data-00000-of-00001 is missing"):
        read_bundle(tmp_path / "model.ckpt")
