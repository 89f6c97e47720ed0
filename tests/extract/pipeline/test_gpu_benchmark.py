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


def test_without_a_gpu_it_says_so_and_shows_what_is_predicted(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    benchmark()
    first, head, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "no GPU here: torch finds none, nothing was measured"
    assert head == "| predicted, not measured | A100 | H100 | H200 |"
    assert rows[0].startswith("| TV-L1 pairs/s | ")


def test_the_tables_of_the_readme_are_those_of_the_figures_kept(benchmark):
    import _gpu_prediction
    import _gpu_tables

    assert _gpu_tables.text(_gpu_prediction.load()) in _gpu_tables.README.read_text("utf-8")


def test_bytes_of_two_steps_are_half_those_of_one(benchmark):
    from _gpu_prediction import traffic

    assert traffic(64, 28, 64, 1) == (64, 64)  # a single piece has no neighbours
    assert traffic(64, 28, 64, 2) == (32, 32)
    # Two strips of 28: each reads two columns of the other.
    assert traffic(64, 56, 64, 2) == (32, (40 * 60 / 56 + 24) / 2)
    assert traffic(128, 28, 64, 2) == (32, (40 * 132 / 128 + 24) / 2)


def test_every_table_has_its_numbers(benchmark, make_video, capsys):
    # One picture all the time, in which TV-L1 soon finds that nothing moves.
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    video = make_video("a.mp4", range(20), Fraction(1, 25), picture=lambda n: noise).path
    small = ("--frames", 17, "--pairs", 1, "--clips", 4, "--rounds", 1)
    benchmark(video, "--device", "cpu", "--backbone", "i3d-mini", *small)
    printed = capsys.readouterr().out
    assert "pictures made on the device: equal" in printed
    assert "other places of a batch: equal" in printed
    shares = re.findall(r"^  (\S.*?) frames/s .* ([\d.]+)% of the sum$", printed, re.MULTILINE)
    assert [name for name, _ in shares] == [
        *("decode", "upload", "resize", "flow (TV-L1)", "rgb network", "flow network")
    ]
    assert sum(float(share) for _, share in shares) == pytest.approx(100, abs=0.5)
    number = r"[\d.]+(e[+-]\d+)?"
    for line in (
        rf"TV-L1 all steps pairs/s +{number} +-  [\d.]+ times RAFT-small's speed",
        rf"RAFT pairs/s +{number} +-",
        rf"I3D flow float32 snippets/s +{number} +-  off by \d\.\de-\d\d",
        r"rgb: precision tf32 needs a GPU",
        rf"whole x real time +{number} +-",
    ):
        assert re.search(line, printed), f"{line} is not in\n{printed}"
