"""`localize` and `Localizer` as a program calls them."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import basnet_e2e
from basnet_e2e import BasnetError, Localizer
from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.checkpoint import HeadModel, load_model, save_model
from basnet_e2e.heads.common import devices
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from extract.features.feature_file import Features


def make_model(name="model", seed=1):
    chosen = preset("small", hidden=8, filter_hidden=4, segments=16, theta_class=0.0)
    torch.manual_seed(seed)
    net = build(Shape(5, 2), chosen).eval()
    return HeadModel(net, ("run", "jump"), chosen, Shape(5, 2), name=name)


def make_rows():
    start = np.arange(9) * 0.64
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    return VideoFeatures("v", x, start, start + 0.64, float(start[-1] + 0.64), {})


def test_the_head_is_moved_to_the_device_and_the_callers_is_not(tmp_path, monkeypatch):
    model = make_model()
    save_model(model, tmp_path / "m.safetensors")
    monkeypatch.setattr(devices, "choose_device", lambda name: torch.device("meta"))
    for given in (model, tmp_path / "m.safetensors"):
        moved = Localizer(given, device="cuda").predictor.model
        assert {part.device.type for part in moved.net.parameters()} == {"meta"}
    assert {part.device.type for part in model.net.parameters()} == {"cpu"}


def test_a_device_that_is_not_there_is_said_at_once():
    with pytest.raises(BasnetError, match="no device 'cuda:63'"):
        Localizer(make_model(), device="cuda:63")


def test_a_model_has_the_precision_of_the_features_it_was_trained_on():
    made = {"backbone": "i3d", "streams": ["rgb"], "fps": "25", "stride": 16}
    for trained, other in ((made, "tf32"), (made | {"precision": "tf32"}, "float32")):
        model = dataclasses.replace(make_model(), extractor=trained)
        precision = trained.get("precision", "float32")
        for asked in (None, precision):
            chosen = Localizer(model, device="cpu", precision=asked).predictor.settings
            assert chosen.precision == precision
        with pytest.raises(BasnetError, match=rf"{precision}, .* of {other}; drop --precision"):
            Localizer(model, device="cpu", precision=other)


def test_a_models_own_name_stands_in_results(tmp_path):
    assert basnet_e2e.localize(make_rows(), make_model("sport"), device="cpu").model == "sport"
    save_model(make_model("sport"), tmp_path / "file.safetensors")
    found = basnet_e2e.localize(make_rows(), tmp_path / "file.safetensors", device="cpu")
    assert found.model == "file"


def test_a_list_is_told_what_to_call():
    model = make_model()
    for given in (["a.mp4"], ("a.mp4", "b.mp4"), [make_rows()]):
        with pytest.raises(BasnetError, match=r"takes one video, not a (list|tuple); .*Localizer"):
            basnet_e2e.localize(given, model)
    localizer = basnet_e2e.Localizer(model, device="cpu")
    found = [localizer.localize(video) for video in (make_rows(), make_rows())]
    assert [one.video for one in found] == ["v", "v"]


def test_thresholds_and_how_they_are_recorded():
    model, video = make_model(), make_rows()
    everything = basnet_e2e.localize(video, model, keep="all")
    limit = sorted(one.score for one in everything.intervals)[-2]
    some = basnet_e2e.localize(video, model, keep="all", min_score=limit)
    assert [one.score for one in some.intervals] == [
        one.score for one in everything.intervals if one.score >= limit
    ]
    assert some.made == {"keep": "all", "min_score": limit, "min_length": 0.0}
    assert json.loads(json.dumps(some.to_json()))["made"] == some.made
    assert basnet_e2e.localize(video, model).made["min_score"] == 0.2
    with pytest.raises(BasnetError, match="keep is one of best, all, not 'some'"):
        basnet_e2e.localize(video, model, keep="some")


def test_digests_tell_models_apart(tmp_path):
    model = make_model()
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").digest() == model.digest()
    assert make_model("other name").digest() == model.digest()
    assert make_model(seed=2).digest() != model.digest()


# Refining ----------------------------------------------------------------------------------------

SETTINGS = {"fps": "25", "length": 16, "stride": 16}


def cut_in_two(stride=16, change=57, rows=9):
    """Features of a video whose content changes once."""
    first = np.arange(0, (rows - 1) * 16 + 1, stride)
    frames = first[:, None] + np.arange(16)
    looks = np.random.default_rng(3).normal(size=(2, 5))
    x = looks[(frames >= change).astype(int)].mean(axis=1).astype(np.float32)
    start = first / 25
    found = SETTINGS | {"stride": stride}
    return VideoFeatures("v", x, start, start + 0.64, rows * 0.64, found)


def near_change(found, change=57):
    borders = [time for one in found.intervals for time in (one.start, one.end)]
    return min(abs(time - change / 25) for time in borders)


def with_settings(model):
    return dataclasses.replace(model, extractor=SETTINGS)


def test_borders_are_refined_on_request():
    model = with_settings(make_model(seed=6))
    plain = basnet_e2e.localize(cut_in_two(), model, keep="all")
    refined = basnet_e2e.localize(cut_in_two(), model, keep="all", refine=True)
    assert len(refined.intervals) == len(plain.intervals) > 0
    assert near_change(refined) < 0.05 < near_change(plain)
    assert [one.score for one in refined.intervals] == [one.score for one in plain.intervals]
    digests = {Localizer(model, refine=refine).digest for refine in (False, True)}
    assert len(digests) == 2
    assert Localizer(model).digest == model.digest()


def test_a_finer_stride_is_read_at_the_models_and_seen_whole():
    model = with_settings(make_model(seed=6))
    coarse, fine = cut_in_two(16), cut_in_two(4)
    refined = basnet_e2e.localize(fine, model, keep="all", refine=True)
    assert near_change(refined) < 0.05
    # The first pass is that of every fourth row.
    thin = Localizer(model, refine=True)
    assert thin.localize(fine).classes == thin.localize(coarse).classes


def test_features_of_a_finer_stride_need_refining(tmp_path):
    made = {
        **{"format": 1, "backbone": "test", "streams": ["rgb"], "weights": {"rgb": "aa"}},
        **{"flow": None, "quantize": None, **SETTINGS},
    }
    model = dataclasses.replace(make_model(seed=6), extractor=made)
    for stride in (4, 6):
        video = cut_in_two(stride)
        meta = {"settings": made | {"stride": stride}, "facts": {"file": "v.mp4"}}
        path = tmp_path / f"{stride}.safetensors"
        Features(video.x, None, video.start, video.end, meta).save(path)
    with pytest.raises(BasnetError, match="stride: 16 against 4"):
        basnet_e2e.localize(tmp_path / "4.safetensors", model)
    assert near_change(basnet_e2e.localize(
        tmp_path / "4.safetensors", model, keep="all", refine=True)) < 0.05  # fmt: skip
    with pytest.raises(BasnetError, match="stride: 16 against 6"):
        basnet_e2e.localize(tmp_path / "6.safetensors", model, refine=True)
