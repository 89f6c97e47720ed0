"""Model files written before heads had names are read as they always were."""

import json
from pathlib import Path

import pytest

from basnet_e2e import BasnetError, localize
from basnet_e2e.heads.checkpoint import load_model, save_model
from extract.features.feature_file import Features

FIXTURES = Path(__file__).parents[1] / "fixtures"


def same(found, wanted):
    assert [each["label"] for each in found["intervals"]] == [
        each["label"] for each in wanted["intervals"]
    ]
    for one, other in zip(found["intervals"], wanted["intervals"], strict=True):
        for name in ("start", "end", "score"):
            assert one[name] == pytest.approx(other[name], abs=1e-6)
    assert found["classes"] == pytest.approx(wanted["classes"], abs=1e-6)
    assert found["duration"] == wanted["duration"]


def test_a_model_of_format_1_gives_the_same_intervals(tmp_path):
    features = Features.load(FIXTURES / "features_v1.safetensors")
    wanted = json.loads((FIXTURES / "intervals_v1.json").read_text())
    model = load_model(FIXTURES / "model_v1.safetensors")
    assert (model.preset.head, model.preset.recipe) == ("basnet", "full")
    same(localize(features, FIXTURES / "model_v1.safetensors", keep="all").to_json(), wanted)
    # Written again it is a file of today.
    save_model(model, tmp_path / "model.safetensors")
    assert b'\\"format\\":2' in (tmp_path / "model.safetensors").read_bytes()
    again = load_model(tmp_path / "model.safetensors")
    assert again.preset == model.preset
    assert again.shape == model.shape
    same(localize(features, again, keep="all").to_json(), wanted)


def test_features_of_another_width_are_told_as_before():
    features = Features.load(FIXTURES / "features_v1.safetensors")
    model = load_model(FIXTURES / "model_v1.safetensors")
    other = Features(
        features.rgb[:, :-1], features.flow, features.start, features.end, features.meta
    )
    with pytest.raises(BasnetError, match=f"wide, the model was trained on {model.shape.features}"):
        localize(other, model)
