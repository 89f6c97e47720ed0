import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from basnet_e2e import BasnetError
from basnet_e2e.heads.basnet.settings import RECIPES
from basnet_e2e.heads.checkpoint import HeadModel, load_model, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset

TRAINING = {"videos": 3, "unlabelled": 0, "steps": 2, "loss": 0.5, "seed": 1}


def make_model(recipe="full", **settings):
    chosen = preset("small", recipe=recipe, hidden=6, filter_hidden=5, segments=64, **settings)
    torch.manual_seed(0)
    net = build(Shape(7, 3), chosen).eval()
    return HeadModel(net, ("a", "ü", "c d"), chosen, Shape(7, 3, (4, 3)), {"fps": "25"}, TRAINING)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_round_trip(tmp_path, recipe):
    model = make_model(recipe)
    save_model(model, tmp_path / "deep" / "net.safetensors")
    read = load_model(tmp_path / "deep" / "net.safetensors")
    assert (read.classes, read.preset, read.preset.recipe) == (model.classes, model.preset, recipe)
    assert (read.extractor, read.training, read.name) == ({"fps": "25"}, TRAINING, "net")
    assert read.shape == model.shape
    assert not read.net.training
    x = torch.randn(1, 9, 7)
    for left, right in zip(read.net(x), model.net(x), strict=True):
        assert (left is None and right is None) or torch.equal(left, right)


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("one.safetensors", "two.safetensors"):
        save_model(make_model(), tmp_path / name)
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


def test_missing_file(tmp_path):
    with pytest.raises(BasnetError, match=r"gone\.safetensors: no such model file"):
        load_model(tmp_path / "gone.safetensors")


def test_folder_instead_of_a_file(tmp_path):
    with pytest.raises(BasnetError, match="no such model file"):
        load_model(tmp_path)


def test_truncated_file(tmp_path):
    path = tmp_path / "net.safetensors"
    save_model(make_model(), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BasnetError, match="damaged or of another program"):
        load_model(path)


def test_other_programs_file(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"w": np.zeros(3, np.float32)}, path)
    with pytest.raises(BasnetError, match="not a model file of basnet"):
        load_model(path)
    path.write_text("hello")
    with pytest.raises(BasnetError, match="damaged or of another program"):
        load_model(path)


def test_feature_file_instead_of_a_model(tmp_path):
    path = tmp_path / "video.safetensors"
    meta = {"basnet": json.dumps({"settings": {"format": 1}, "facts": {}})}
    save_file({"rgb": np.zeros((2, 3), np.float32)}, path, metadata=meta)
    with pytest.raises(BasnetError, match="a feature file, not a model file"):
        load_model(path)


def rewrite(path, change):
    """Model file with changed metadata."""
    model = make_model()
    save_model(model, path)
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    meta = json.loads(header["__metadata__"]["basnet"])
    change(meta)
    header["__metadata__"]["basnet"] = json.dumps(meta)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])


def own(meta, part="own"):
    return meta["settings"][part]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(format=99), "model format 99"),
        (lambda meta: meta.update(features=8, streams=[8]), "damaged model file .*size mismatch"),
        (lambda meta: meta.pop("classes"), "damaged model file"),
        (lambda meta: meta.update(features=8), "damaged model file .*do not add up"),
        (lambda meta: own(meta).update(recipe="x"), "damaged model file .*no recipe 'x'"),
        (lambda meta: own(meta, "reading").update(nms="wrong"), "damaged model file .*nms"),
        (lambda meta: own(meta).update(new=1), "damaged model file .*no setting 'new'"),
        (lambda meta: own(meta).pop("hidden"), "damaged model file .*without the settings hidden"),
        (lambda meta: meta["settings"].update(head="basnat"), "no head 'basnat'; did you mean bas"),
    ],
)
def test_damaged_metadata(tmp_path, change, message):
    path = tmp_path / "net.safetensors"
    rewrite(path, change)
    with pytest.raises(BasnetError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
