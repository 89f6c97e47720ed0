"""OpenVINO as a runtime, on a network small enough to be compiled in a moment."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from extract.inference.runtimes import Choice, make_runtime

pytest.importorskip("openvino", reason="openvino is not installed")
from extract.inference import openvino_runtime
from extract.inference.openvino_runtime import OpenVINORuntime

SHAPE = (3, 4, 12, 12)


class Small(nn.Module):
    """A convolution, batch norm, ReLU and the mean over places, as backbones have them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.norm.running_mean.uniform_(-0.5, 0.5)
        self.norm.running_var.uniform_(0.5, 1.5)
        self.eval().requires_grad_(False)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3, 4))


def clips(count: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def runtime() -> OpenVINORuntime:
    return OpenVINORuntime(Small(), SHAPE, batch=2, threads=1)


def test_it_computes_the_network(runtime: OpenVINORuntime) -> None:
    x = clips(5)
    expected = Small().features(torch.from_numpy(x)).numpy()
    found = runtime.run(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert runtime.run(x[:0]).shape == (0, 0)


def test_a_feature_does_not_depend_on_its_neighbours(runtime: OpenVINORuntime) -> None:
    x = clips(5)
    together = runtime.run(x)
    np.testing.assert_array_equal(runtime.run(x[::-1].copy()), together[::-1])
    for row in range(len(x)):
        np.testing.assert_array_equal(runtime.run(x[row : row + 1])[0], together[row])


def test_it_is_told_to_hold_float32_and_not_to_pin_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it rounds to bfloat16 on processors that have it, which this one may not.

    Pinned, all workers of a machine would sit on its first core.
    """
    core, asked = openvino_runtime._core(), []

    class Spy:
        def compile_model(self, model: object, device: str, settings: dict) -> object:
            asked.append(settings)
            return core.compile_model(model, device, settings)

    monkeypatch.setattr(openvino_runtime, "_core", Spy)
    choice = Choice("openvino", "cpu")
    few = make_runtime(Small(), (3, 16, 12, 12), choice=choice, frames=4, threads=1)
    assert [s["INFERENCE_PRECISION_HINT"] for s in asked] == ["f32"]
    assert [s["INFERENCE_NUM_THREADS"] for s in asked] == [1]
    assert [s["ENABLE_CPU_PINNING"] for s in asked] == [False]
    x = clips(1, (3, 16, 12, 12))
    expected = Small().features(torch.from_numpy(x[:, :, [0, 5, 10, 15]])).numpy()
    np.testing.assert_allclose(few.run(x), expected, rtol=1e-4, atol=1e-6)


def test_ctrl_c_after_networks_were_dropped_is_no_crash() -> None:
    code = (
        "import gc, os, signal\n"
        "from test_runtime_openvino import SHAPE, OpenVINORuntime, Small, clips\n"
        "def used():\n"
        "    runtime = OpenVINORuntime(Small(), SHAPE, 1, 1)\n"
        "    runtime.run(clips(1))\n"
        "    return runtime\n"
        "first, second = used(), used()\n"
        "del first; gc.collect()\n"
        "del second; gc.collect()\n"
        "try: os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    here = Path(__file__).resolve()
    paths = str(here.parents[3])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr
