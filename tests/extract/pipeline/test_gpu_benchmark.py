"""The benchmark of GPUs runs on a processor, so that it is not tried out on a GPU first."""

import importlib.util
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of torch wait busily for each other where CPUs are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("gpu_benchmark", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_benchmark", module)  # as dataclasses want it
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpu.py", *map(str, arguments)])
        module.main()

    return run


def test_without_a_gpu_it_says_so(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    benchmark()
    assert capsys.readouterr().out == "no GPU here: torch finds none, nothing was measured\n"


def test_every_table_has_its_numbers(benchmark, make_video, capsys):
    # One picture all the time, in which TV-L1 soon finds that nothing moves.
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    video = make_video("a.mp4", range(20), Fraction(1, 25), picture=lambda n: noise).path
    small = ("--frames", 17, "--pairs", 1, "--clips", 4, "--rounds", 1)
    benchmark(video, "--device", "cpu", "--backbone", "i3d-mini", *small)
    printed = capsys.readouterr().out
    assert "pictures made on the device: equal" in printed
    assert "other places of a batch: equal" in printed
    shares = {
        name: float(share)
        for name, share in re.findall(r"^  (\S.*?) {2,}\d+ +([\d.]+)%$", printed, re.MULTILINE)
    }
    assert list(shares) == [
        *("decode", "upload", "resize", "flow (TV-L1)", "rgb network", "flow network")
    ]
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    for line in (
        r"TV-L1, all steps +[\d.]+ pairs a second, +[\d.]+ times RAFT's speed",
        r"RAFT, a pair at a time +[\d.]+ pairs a second",
        r"flow +float32 +[\d.]+ snippets a second, +[\d.]+ times, off by \d\.\de-\d\d",
        r"rgb: precision tf32 needs a GPU",
        r"tensors of the device +[\d.]+ frames a second, [\d.]+ s a second of video",
        r"arrays, up and down +[\d.]+ frames a second",
    ):
        assert re.search(line, printed), f"{line} is not in\n{printed}"
    for stream in ("rgb", "flow"):
        (apart,) = re.findall(rf"^  {stream}: off by (\S+)$", printed, re.MULTILINE)
        assert float(apart) < 1e-3
