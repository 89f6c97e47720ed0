import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_manifest import left_in, url_source

from weights import WeightsError
from weights.files import git_blob_id, sha256_of
from weights.formats.tensor_files import content_hash
from weights.registry import resolve
from weights.user_files import import_file

Tensors = dict[str, np.ndarray]


@pytest.mark.parametrize("kind", ["piergiaj", "hassony2", "tensorflow"])
def test_import_of_every_format(
    kind: str,
    cache: Path,
    use_manifest: Callable,
    in_format: Callable[[str], Path],
    published: Tensors,
) -> None:
    path = in_format(kind)
    use_manifest(
        {
            "origin": "there",
            "kind": "import",
            "url": "http://x",
            "file": path.name,
            "git_blob": git_blob_id(path),
        }
    )
    file = import_file(path)
    assert file.sha256 == content_hash(published)
    assert file.source == "there"
    assert file.meta["origin"]["sha256"] == sha256_of(path)
    assert resolve("i3d", "rgb", offline=True) == file


def test_a_tensorflow_checkpoint_is_named_as_such(tmp_path: Path, cache: Path) -> None:
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    index = tmp_path / "model.ckpt.index"
    for path in (data, index):
        path.write_bytes(b"values")
    for path in (data, index, tmp_path / "model.ckpt", tmp_path):
        with pytest.raises(WeightsError, match="a TensorFlow checkpoint; convert it"):
            import_file(path, name="i3d", stream="rgb")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="no such file"):
        import_file(tmp_path / "empty")
    assert left_in(cache) == []


def test_bfloat16_is_read(published: Tensors, tmp_path: Path, cache: Path) -> None:
    import torch

    path = tmp_path / "halves.pt"
    torch.save({k: torch.from_numpy(v).bfloat16() for k, v in published.items()}, path)
    file = import_file(path, name="i3d", stream="rgb", sha256=sha256_of(path))
    bias = torch.from_numpy(published["logits.conv3d.bias"]).bfloat16().float().numpy()
    np.testing.assert_array_equal(file.tensors()["logits.conv3d.bias"], bias)


def test_import_of_an_unknown_file_needs_its_hash(
    cache: Path, use_manifest: Callable, in_format: Callable[[str], Path]
) -> None:
    use_manifest(
        {
            "origin": "o",
            "kind": "import",
            "url": "http://x",
            "file": "rgb_imagenet.pt",
            "git_blob": "0" * 40,
        }
    )
    path = in_format("piergiaj")
    digest = sha256_of(path)
    with pytest.raises(WeightsError, match=f"unknown file, its sha256 is {digest}; if you trust"):
        import_file(path)
    with pytest.raises(WeightsError, match=f"its sha256 is {digest}, expected 00"):
        import_file(path, name="i3d", stream="rgb", sha256="00")
    with pytest.raises(WeightsError, match="name its network"):
        import_file(path, sha256=digest)
    with pytest.raises(WeightsError, match=r"Conv3d_1a_7x7.* instead of 64x2x7x7x7"):
        import_file(path, name="i3d", stream="flow", sha256=digest)
    with pytest.raises(WeightsError, match="i3d has no depth stream"):
        import_file(path, name="i3d", stream="depth", sha256=digest)
    assert left_in(cache) == []
    assert import_file(path, name="i3d", stream="rgb", sha256=digest.upper()).source == "import"


def test_import_under_a_known_name_with_another_hash(
    cache: Path, use_manifest: Callable, in_format: Callable[[str], Path]
) -> None:
    path = in_format("piergiaj")
    use_manifest({**url_source("http://x", path), "git_blob": "0" * 40})
    with pytest.raises(WeightsError, match=rf"git blob id is {git_blob_id(path)}, expected 0000"):
        import_file(path)
    assert import_file(path, sha256=sha256_of(path)).meta["name"] == "i3d"


def test_a_pickle_is_not_imported_whatever_its_hash(
    cache: Path, in_format: Callable[[str], Path]
) -> None:
    path = in_format("flax")
    with pytest.raises(WeightsError, match=r"flax\.pt: neither a safetensors file nor a torch"):
        import_file(path, name="i3d", stream="rgb", sha256=sha256_of(path))
    assert left_in(cache) == []


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def test_bad_files_are_refused_and_leave_nothing(
    cache: Path, tmp_path: Path, in_format: Callable[[str], Path]
) -> None:
    import torch

    marker = tmp_path / "ran"
    whole = in_format("piergiaj").read_bytes()
    hostile = {"Conv3d_1a_7x7.conv3d.weight": Hostile(marker)}
    torch.save(hostile, tmp_path / "hostile.pt")
    torch.save(hostile, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(hostile))
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save({"x": torch.zeros(3).to_sparse()}, tmp_path / "sparse.pt")
    torch.save({"x": torch.zeros(3, device="meta")}, tmp_path / "meta.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("bomb/data/0", bytes(1 << 20))
    made = [path.name for path in tmp_path.glob("*.pt")]
    middle = len(whole) // 2
    files = {
        "cut.pt": whole[: len(whole) // 2],
        "flipped.pt": whole[:2_000] + bytes(64) + whole[2_064:],
        "one_bit.pt": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty.pt": b"",
        "text.pt": b"version https://git-lfs.github.com/spec/v1\n",
        "page.pt": b"<!DOCTYPE html><html></html>",
        "cut.safetensors": b"\x10\x00\x00\x00\x00\x00\x00\x00{}",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert len(made) == 8
    for name in [*files, *made]:
        path = tmp_path / name
        with pytest.raises(WeightsError) as caught:
            import_file(path, name="i3d", stream="rgb", sha256=sha256_of(path))
        assert "\n" not in str(caught.value), name
        assert str(path) in str(caught.value)
        assert "weights_only" not in str(caught.value)  # torch's advice to load it unsafely
    assert not marker.exists()
    assert left_in(cache) == []


def test_old_torch_files_load(
    cache: Path, tmp_path: Path, use_manifest: Callable, published: Tensors
) -> None:
    import torch

    path = tmp_path / "rgb_imagenet.pt"
    state = {name: torch.from_numpy(value) for name, value in published.items()}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    use_manifest(url_source("http://x", path))
    assert import_file(path).sha256 == content_hash(published)
