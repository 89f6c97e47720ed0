"""Where numba's compiled code is kept."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from extract.machine import numba_cache
from extract.machine.numba_cache import works

ROOT = Path(__file__).resolve().parents[3]


FOLDER = """
import logging, sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import torch
from extract.machine import numba_cache as compiled_code
from extract.preprocessing import torch_ops
print(compiled_code.code_folder())
torch_ops.PLAIN_FRAMES = 0
print(torch_ops.resize_short_side(torch.zeros((1, 9, 9, 3), dtype=torch.uint8), 5).shape)
"""
NOT_KEPT = "compiled code is not kept between runs (some seconds each): "


def run(program: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_code_is_kept_if_only_this_user_can_write(tmp_path):
    cache = tmp_path / "cache"
    folder, _ = run(FOLDER, BASNET_CACHE=str(cache))
    assert Path(folder) == cache / "numba"
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert list(Path(folder).iterdir())


@pytest.fixture
def chosen(tmp_path, monkeypatch, caplog):
    """The folder for compiled code with a cache folder, and what is said about it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def choose(cache):
        monkeypatch.setenv("BASNET_CACHE", str(cache))
        numba_cache.code_folder.cache_clear()
        return numba_cache.code_folder(), caplog.text

    yield choose
    numba_cache.code_folder.cache_clear()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders without owners")
@pytest.mark.parametrize("made_by_others", [False, True])
def test_code_is_never_loaded_from_a_folder_that_others_can_write(tmp_path, chosen, made_by_others):
    shared = tmp_path / "cache" / "numba"
    shared.mkdir(parents=True)
    if made_by_others:
        if os.getuid() != 0:
            pytest.skip("needs root")
        os.chown(shared, 12345, 12345)
    else:
        shared.chmod(0o777)
    folder, said = chosen(tmp_path / "cache")
    assert folder.parent == tmp_path
    assert f"{NOT_KEPT}{shared} is not a folder" in said


def test_a_cache_that_cannot_be_written_is_not_an_error(tmp_path, chosen):
    blocked = tmp_path / "file"
    blocked.write_text("")  # a folder cannot be made below a file, whoever asks
    folder, said = chosen(blocked)
    assert folder.parent == tmp_path
    assert NOT_KEPT in said


def test_without_a_folder_code_is_compiled_but_not_kept(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    nowhere = f"import tempfile; tempfile.tempdir = {str(blocked)!r}\n"
    line, folder, shape = run(nowhere + FOLDER, BASNET_CACHE=str(blocked))
    assert line.startswith(NOT_KEPT)
    assert (folder, shape) == ("None", "torch.Size([1, 5, 5, 3])")


BROKEN = """
import numba
def refuse(*arguments):
    raise NotImplementedError("no such instruction\\nin this release")
numba.njit = lambda **options: lambda function: refuse
"""
COMPUTE = """
import hashlib, logging, sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
import numpy as np, torch
from extract.preprocessing import torch_ops
from extract.backbones.i3d import InceptionI3D
from extract.inference.torch_runtime import TorchRuntime, describe
from extract.flow.registry import flow_method

torch.manual_seed(0)
frames = np.random.default_rng(0).integers(0, 256, (3, 30, 40, 3), dtype=np.uint8)
torch_ops.PLAIN_FRAMES = 0
small = torch_ops.resize_short_side(torch.from_numpy(frames), 24).numpy()
method = flow_method("tvl1", device="cpu", overrides={"warps": 1, "iterations": 10})
flow = [method.compute(small[..., 0], small) for _ in range(2)][1]
network = InceptionI3D(3, 5, width=0.25, pool="whole").eval()
clips = np.random.default_rng(1).normal(size=(1, 3, 16, 64, 64)).astype(np.float32)
runtime = TorchRuntime(network, clips.shape[1:], winograd=True)
features = [runtime.run(torch.from_numpy(clips)) for _ in range(2)][1].numpy()
right = network.features(torch.from_numpy(clips)).detach().numpy()
print(np.abs(features - right).max() < 1e-3 * np.abs(right).max())
print(hashlib.sha256(small.tobytes() + flow.tobytes()).hexdigest())
print(method.engine.split()[0], "|", describe("cpu", winograd=True))
"""


def test_a_release_that_breaks_compiled_code_costs_time_and_no_result():
    good, bits, engines = run(COMPUTE)
    assert good == "True"
    assert engines.startswith("numba | torch ")
    assert engines.endswith(" winograd cpu")
    *lines, good, found, engines = run(BROKEN + COMPUTE)
    assert (good, found) == ("True", bits)
    assert engines.startswith("torch | torch ")
    assert "winograd" not in engines
    assert len(lines) == 3, lines
    for line, what in zip(lines, ("resize", "TV-L1", "Winograd"), strict=True):
        assert re.match(rf"numba \S+ cannot run .*{what}.* \(.*no such ins\w+\); using .+$", line)


def test_code_that_cannot_be_imported_or_is_wrong_does_not_work(caplog):
    def absent():
        import numba.no_such_module  # noqa: F401

    assert works(lambda: True, "flow", "another")
    assert not caplog.records
    assert not works(absent, "flow", "another")
    assert "cannot run flow (ModuleNotFoundError: No module named" in caplog.text
    assert not works(lambda: False, "resize", "numpy")
    assert "cannot run resize (wrong values); using numpy" in caplog.text


def test_all_compiled_code_is_kept_in_the_cache(tmp_path):
    program = """
import numba
from extract.flow.tvl1 import numba_engine
from extract.inference.winograd import kernels
from extract.preprocessing import compiled_resize
for module in (numba_engine, kernels, compiled_resize):
    for function in vars(module).values():
        if hasattr(function, "stats"):
            print(function.stats.cache_path)
print(numba.config.CACHE_DIR)
"""
    *ours, others = run(program, BASNET_CACHE=str(tmp_path), NUMBA_CACHE_DIR="others")
    assert len(ours) >= 10
    assert {Path(path).parents[1] for path in ours} == {tmp_path / "numba"}
    assert others == "others", "the setting of other packages was changed"


def test_code_is_compiled_again_if_a_file_beside_it_changes(tmp_path):
    """Numba looks at the file of a function only, not at what is compiled into it."""
    (tmp_path / "kernel.py").write_text(
        "from constants import VALUE\n"
        "from extract.machine.numba_cache import compiled\n"
        "@compiled()\n"
        "def value():\n"
        "    return VALUE\n"
        "print(value(), sum(value.stats.cache_hits.values()))\n"
    )
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True\n"

    def found(value):
        (tmp_path / "constants.py").write_text(f"VALUE = {value}\n")
        return run(start + "import kernel", BASNET_CACHE=str(tmp_path / "cache"))

    assert [found(1), found(1), found(2)] == [["1 0"], ["1 1"], ["2 0"]]
