import importlib.metadata

import numpy as np
import pytest
import torch

from extract import ExtractError
from extract.backbones.registry import BACKBONES
from extract.flow.raft import RAFTFlow, raft_tensors
from extract.flow.registry import METHODS, flow_method
from extract.flow.tvl1.params import TVL1Params
from extract.flow.tvl1.torch_engine import plain_level
from extract.flow.tvl1.triton_engine import TritonSolver
from weights import WeightsError

SHORT = {"scales": 2, "warps": 2, "iterations": 10, "finest_iterations": 10}


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of torch wait busily for each other where CPUs are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def clip(frames=5, height=40, width=48):
    y, x = np.mgrid[:height, :width]
    pictures = [100 + 60 * np.sin(0.4 * (x - n)) + 60 * np.cos(0.3 * y) for n in range(frames)]
    grey = np.clip(np.stack(pictures), 0, 255).astype(np.uint8)
    return grey, np.repeat(grey[..., None], 3, axis=-1)


def test_settings_name_the_method_and_all_that_influences_values():
    settings = flow_method("tvl1", device="cpu", overrides={"warps": 3}).settings()
    assert settings["method"] == "tvl1"
    assert settings["warps"] == 3
    assert settings["lambda_"] == 0.15
    assert settings.keys() - {"method"} == set(TVL1Params.__dataclass_fields__)


def test_engine_is_a_fact_with_its_version():
    assert flow_method("tvl1", device="cpu").engine.startswith("numba 0.")


def test_engine_names_no_single_gpu(monkeypatch):
    """Workers on several GPUs make equal files."""
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "3.8.0" if name == "triton" else real(name)
    )
    monkeypatch.setattr("extract.flow.tvl1.solver.choose_device", lambda device: device)
    for solver, end in ((plain_level, " on cuda"), (TritonSolver(None), ", triton 3.8.0 on cuda")):
        monkeypatch.setattr("extract.flow.tvl1.torch_engine.level_solver", lambda _, it=solver: it)
        names = {flow_method("tvl1", device=f"cuda:{n}").engine for n in range(2)}
        assert names == {f"torch {real('torch')}{end}"}


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name.startswith("i3d")])
def test_every_method_takes_the_schedule_a_backbone_asks_for(backbone):
    asked = BACKBONES[backbone].flow_overrides
    plain, fast = (
        flow_method(name, device="cpu", overrides=asked).settings()
        for name in ("tvl1", "tvl1-fast")
    )
    assert plain.items() >= asked.items()
    assert {**fast, "method": "tvl1", "warps": plain["warps"]} == plain
    assert fast["warps"] == 2 < plain["warps"]


def test_raft_pads_small_and_odd_frames_and_cuts_back():
    from torchvision.models.optical_flow import raft_small

    _, rgb = clip(2, 37, 45)
    flow = raft_tensors(raft_small(weights=None).eval(), torch.from_numpy(rgb))
    assert flow.shape == (1, 2, 37, 45)
    assert torch.isfinite(flow).all()


def test_a_field_of_raft_does_not_depend_on_the_pairs_beside_it():
    """A network that mixes nothing between pairs, but tells how many it was given."""

    def network(first, second, num_flow_updates):
        means = (second - first).mean((1, 2, 3))[:, None, None, None]
        return [(means + len(first)).expand(-1, 2, *first.shape[2:])]

    rgb = torch.from_numpy(clip(6, 24, 30)[1])
    together = raft_tensors(network, rgb, batch=4)
    assert together.shape == (5, 2, 24, 30)
    for n in range(5):
        torch.testing.assert_close(together[n : n + 1], raft_tensors(network, rgb[n : n + 2], 4))
    torch.testing.assert_close(raft_tensors(network, rgb, batch=1), together - 3)


@pytest.mark.parametrize("name", ["tvl1", "tvl1-fast"])
def test_flow_of_tensors_is_that_of_arrays(name):
    method = flow_method(name, device="cpu", overrides=SHORT)
    grey, rgb = clip(4)
    found = method.compute_on_device(torch.from_numpy(grey), torch.from_numpy(rgb))
    np.testing.assert_array_equal(found.numpy(), method.compute(grey, rgb))


def test_raft_computes_in_exact_float32_whatever_the_caller_chose():
    seen = []

    def network(first, second, num_flow_updates):
        seen.append((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
        return [torch.zeros(1, 2, *first.shape[2:])]

    torch.set_float32_matmul_precision("medium")
    try:
        raft_tensors(network, torch.from_numpy(clip(2)[1]))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [(False, "highest")]
    assert torch.backends.cudnn.allow_tf32


def test_raft_without_weights_is_an_error_not_a_random_network(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    with pytest.raises(WeightsError):
        RAFTFlow("cpu")


def test_unknown_names_are_errors():
    with pytest.raises(ExtractError, match=", ".join(METHODS)):
        flow_method("farneback")
    with pytest.raises(ExtractError, match="unknown flow parameter"):
        flow_method("tvl1", device="cpu", overrides={"wraps": 1})
    for name in METHODS:
        with pytest.raises(ExtractError, match="no device 'gpu'; choose auto, cpu"):
            flow_method(name, device="gpu")
