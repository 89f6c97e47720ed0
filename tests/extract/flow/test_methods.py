import sys

import cv2
import numpy as np
import pytest
import torch

from extract import ExtractError
from extract.backbones.loading import BACKBONES
from extract.flow.methods import METHODS, flow_method, raft_flow
from extract.flow.tvl1.solver import Engine, TVL1Params, chains, check_frames, solve
from weights import WeightsError

SHORT = {"scales": 2, "warps": 2, "iterations": 10, "finest_iterations": 10}


@pytest.fixture(autouse=True)
def one_thread():
    """Many threads of OpenCV and torch wait busily for each other where CPUs are shared."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


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
    assert (
        flow_method("tvl1", device="cpu", threads=1).settings()
        == flow_method("tvl1", device="cpu", threads=2).settings()
    )


def test_engine_is_a_fact_with_its_version():
    assert flow_method("tvl1", device="cpu").engine.startswith("numba 0.")


def test_resets_matter_only_to_warm_starts():
    grey, rgb = clip()
    plain = flow_method("tvl1", device="cpu", overrides=SHORT)
    np.testing.assert_array_equal(plain.compute(grey, rgb), plain.compute(grey, rgb, resets=[2]))
    fast = flow_method("tvl1-fast", device="cpu", overrides={**SHORT, "warm_start": True})
    whole, cut = fast.compute(grey, rgb), fast.compute(grey, rgb, resets=[2])
    np.testing.assert_array_equal(whole[:2], cut[:2])
    assert np.abs(whole[2] - cut[2]).max() > 0
    # A snippet's flow is the same wherever the video before it was cut.
    np.testing.assert_array_equal(cut[2:], fast.compute(grey[2:], rgb[2:]))


def test_engines_agree_on_warm_starts():
    grey, _ = clip()
    params = TVL1Params(**SHORT, warm_start=True)
    numba, torch_ = (
        solve(check_frames(grey), Engine(name, "cpu"), params, resets=[2])
        for name in ("numba", "torch")
    )
    assert np.abs(numba - torch_).mean() < 0.02


def test_runs_of_pairs():
    warm = TVL1Params(warm_start=True)
    assert chains(5, TVL1Params()) == [range(n, n + 1) for n in range(5)]
    assert chains(5, warm, [0, 3, 9]) == [range(3), range(3, 5)]
    assert chains(0, warm) == []


def test_opencv_is_the_reference_without_its_median_filter():
    grey, rgb = clip(2)
    method = flow_method("opencv")
    solver = cv2.optflow.DualTVL1OpticalFlow_create()
    solver.setMedianFiltering(1)
    expected = solver.calc(grey[0], grey[1], None).transpose(2, 0, 1)
    np.testing.assert_array_equal(method.compute(grey, rgb)[0], expected)
    assert method.settings()["iterations"] == 300
    assert cv2.__version__ in method.engine


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name.startswith("i3d")])
def test_every_method_takes_the_schedule_a_backbone_asks_for(backbone):
    asked = BACKBONES[backbone].flow_overrides
    methods = [flow_method(name, device="cpu", overrides=asked) for name in ("tvl1", "opencv")]
    for method in methods:
        assert method.settings().items() >= asked.items()
    fast = flow_method("tvl1-fast", device="cpu", overrides=asked).settings()
    assert fast["warps"] == 2 < methods[0].settings()["warps"]


def test_opencv_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ExtractError, match="opencv-contrib-python-headless"):
        flow_method("opencv")


def test_raft_pads_small_and_odd_frames_and_cuts_back():
    from torchvision.models.optical_flow import raft_small

    _, rgb = clip(2, 37, 45)
    flow = raft_flow(raft_small(weights=None).eval(), rgb)
    assert flow.shape == (1, 2, 37, 45)
    assert np.isfinite(flow).all()


def test_raft_without_weights_is_an_error_not_a_random_network(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    from extract.flow.methods import RAFTFlow

    with pytest.raises(WeightsError):
        RAFTFlow("cpu", offline=True)


def test_unknown_names_are_errors():
    with pytest.raises(ExtractError, match=", ".join(METHODS)):
        flow_method("farneback")
    with pytest.raises(ExtractError, match="unknown flow parameter"):
        flow_method("tvl1", device="cpu", overrides={"wraps": 1})
    with pytest.raises(ExtractError, match="cannot change"):
        flow_method("opencv", overrides={"finest_iterations": 5})
