import threading

import pytest
import torch

from extract import ExtractError
from extract.machine.devices import (
    choose_device,
    cores,
    default_threads,
    exact_float32,
    multiplying,
)


@pytest.fixture
def gpus(monkeypatch):
    """Make torch believe in so many GPUs."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("count", "asked", "given"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_a_device_that_is_there(gpus, count, asked, given):
    gpus(count)
    assert choose_device(asked) == given


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "auto:1", "", "mps"]
)
def test_a_name_that_is_none(gpus, name):
    gpus(1)
    with pytest.raises(ExtractError, match="choose auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_one_clear_line(gpus):
    gpus(0)
    with pytest.raises(ExtractError, match="no device 'cuda': torch finds no GPU here; use auto"):
        choose_device("cuda")
    gpus(2)
    with pytest.raises(ExtractError, match="no device 'cuda:7': torch finds cuda:0, cuda:1 here"):
        choose_device("cuda:7")


def test_threads_are_cores_or_what_torch_was_given():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert default_threads() == 1
    torch.set_num_threads(cores() + 3)
    assert default_threads() == cores()
    torch.set_num_threads(before)


@pytest.fixture
def switches():
    """What decides whether torch rounds below float32, put back after the test."""
    yield torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    for switch in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul):
        if hasattr(switch, "fp32_precision"):
            switch.fp32_precision = "ieee"
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_nothing_is_rounded_below_float32(switches, precision):
    torch.set_float32_matmul_precision(precision)
    with exact_float32():
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.deterministic
    assert torch.get_float32_matmul_precision() == precision
    assert torch.backends.cudnn.allow_tf32


def test_nor_if_the_caller_used_the_newer_switches(switches):
    if not hasattr(torch.backends.mkldnn.matmul, "fp32_precision"):
        pytest.skip("this torch has the older switches only")
    cuda, mkldnn = switches
    cuda.fp32_precision, mkldnn.fp32_precision = "tf32", "bf16"
    with exact_float32():
        assert (cuda.fp32_precision, mkldnn.fp32_precision) == ("ieee", "ieee")
    assert (cuda.fp32_precision, mkldnn.fp32_precision) == ("tf32", "bf16")


def test_tensor_float_32_on_request(switches):
    with multiplying(tf32=True):
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.deterministic
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_thread_that_ends_takes_nothing_from_another(switches):
    torch.set_float32_matmul_precision("medium")
    inside, go_on, seen = threading.Event(), threading.Event(), []

    def longer():
        with exact_float32():
            inside.set()
            go_on.wait(30)
            seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))

    with exact_float32():
        thread = threading.Thread(target=longer)
        thread.start()
        assert inside.wait(30)
    go_on.set()
    thread.join()
    assert seen == [("highest", False)]
    assert torch.get_float32_matmul_precision() == "medium"


def test_threads_of_different_ways_take_turns(switches):
    asked, done = threading.Event(), []

    def other():
        asked.set()
        with multiplying(tf32=True):
            done.append(torch.backends.cudnn.allow_tf32)

    thread = threading.Thread(target=other)
    with exact_float32():
        thread.start()
        assert asked.wait(30)
        thread.join(0.05)
        assert not done
        assert not torch.backends.cudnn.allow_tf32
    thread.join(30)
    assert done == [True]
