"""A GPU is compared with the CPU before its first use; the GPUs here are pretended."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from extract import ExtractError, Extractor, ExtractSettings, load_backbone, tvl1
from extract.machine import device_check, devices
from extract.machine.device_check import Sample, checked_device, compare
from extract.machine.devices import choose_device
from extract.pipeline.device_samples import SAMPLES


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "RULED_OUT", {})
    monkeypatch.setattr(device_check, "PASSED", set())


def sample(wrong, name="addition", asked=None):
    """Computes ones, ``wrong`` more on a GPU; a tolerance of 0.1."""

    def prepare(device):
        if asked is not None:
            asked.append(device)
        if isinstance(wrong, Exception) and device != "cpu":
            raise wrong
        value = 1 if device == "cpu" else 1 + wrong
        return lambda count: np.full((count, 3), value, np.float32)

    return Sample(name, "sums", prepare, lambda a, b: float(np.abs(a - b).max()), 0.1, "units")


def test_a_gpu_that_agrees_is_used_and_checked_once(caplog):
    asked = []
    works = (sample(0.09, asked=asked),)
    assert checked_device("auto", works) == "cuda"
    assert checked_device("cuda", works) == "cuda"
    assert asked == ["cuda", "cpu"]
    assert checked_device("cuda:1", works) == "cuda:1"
    assert asked == ["cuda", "cpu", "cuda:1", "cpu"]
    assert not caplog.records


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (0.5, "addition differs by 0.5 units (0.1 allowed)"),
        (float("nan"), "addition differs by nan units (0.1 allowed)"),
        (
            RuntimeError("no kernel image\nand more"),
            "addition fails: RuntimeError: no kernel image",
        ),
    ],
)
def test_a_gpu_that_does_not_is_left_alone_with_a_line(caplog, wrong, said):
    works = (sample(0), sample(wrong))
    with caplog.at_level(logging.WARNING):
        assert checked_device("auto", works) == "cpu"
        assert checked_device("auto", works) == "cpu"
    (record,) = caplog.records  # said once
    reason = f"cuda does not compute what the CPU does: {said}"
    assert record.getMessage() == f"{reason}; everything runs on the CPU"
    assert choose_device("auto") == "cpu"
    with pytest.raises(ExtractError) as error:
        choose_device("cuda:0")
    assert str(error.value) == f"{reason}; use --device cpu"


def test_a_gpu_asked_for_by_name_is_an_error_then(caplog):
    with pytest.raises(ExtractError, match="cuda:1 does not compute what the CPU does"):
        checked_device("cuda:1", (sample(1),))
    assert choose_device("cuda:0") == "cuda:0"
    assert choose_device("auto") == "cuda"
    assert not caplog.records


def test_the_cpu_is_not_checked():
    assert checked_device("cpu", (sample(1),)) == "cpu"


def test_speeds_are_told_for_both():
    here, cpu = compare(sample(0), "cuda", 7).speeds
    assert here > 0
    assert cpu > 0


@pytest.mark.parametrize("real", SAMPLES, ids=lambda real: real.name)
def test_the_real_samples_see_what_is_wrong(real):
    """On the CPU twice; the second is disturbed by 2 % of the largest value."""

    def prepare(device):
        work = real.prepare("cpu")
        if device == "cpu":
            return work
        return lambda count: work(count) + 0.02 * np.abs(work(count)).max()

    honest = compare(replace(real, prepare=lambda _: real.prepare("cpu")), "cuda", 2)
    assert honest.agrees
    assert honest.difference == 0
    assert not compare(replace(real, prepare=prepare), "cuda").agrees


def test_the_flow_of_the_sample_is_the_motion_that_was_made():
    flow = SAMPLES[0].prepare("cpu")(2)
    assert flow.shape == (2, 2, 96, 128)
    np.testing.assert_allclose(np.median(flow, axis=(0, 2, 3)), (2, 1), atol=0.05)


def test_an_extractor_takes_the_cpu_where_the_gpu_fails(caplog):
    extractor = Extractor(ExtractSettings("i3d-mini"))  # torch has no GPU: the samples fail
    assert extractor.backbone.device == "cpu"
    assert extractor.flow_method.engine.endswith(" on cpu")
    assert "everything runs on the CPU" in caplog.text
    with pytest.raises(ExtractError, match="cuda does not compute what the CPU does"):
        Extractor(ExtractSettings("i3d-mini"), device="cuda")


@pytest.mark.parametrize(
    "use",
    [
        lambda device: tvl1(np.zeros((2, 20, 20), np.uint8), device),
        lambda device: load_backbone("i3d-mini", device=device).rgb(np.zeros((1, 3, 16, 64, 64))),
    ],
    ids=["flow", "networks"],
)
def test_flow_and_networks_alone_check_the_gpu_too(use, caplog):
    assert use("auto").dtype == np.float32
    assert "cuda does not compute what the CPU does" in caplog.text
    with pytest.raises(ExtractError, match="cuda does not compute what the CPU does"):
        use("cuda")


def test_a_precision_of_gpus_is_refused_if_the_gpu_fails(caplog):
    with pytest.raises(ExtractError, match="precision float16 needs a GPU"):
        load_backbone("i3d-mini", precision="float16")
    assert "everything runs on the CPU" in caplog.text
