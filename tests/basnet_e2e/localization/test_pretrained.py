"""Localization without training: any backbone's classifier, and prompts."""

import json

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torchvision.models.video.mvit import MSBlockConfig, MViT

from basnet_e2e import BasnetError, Localizer
from basnet_e2e.cli import main
from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.localization.pretrained import BACKGROUND_PROMPT, PretrainedClassifier
from extract.backbones import torchvision_video
from extract.features.feature_file import Features
from extract.inference.backbone import load_backbone
from weights.files import sha256_of
from weights.formats import libraries

PROMPTS = ("a person running", "a ball")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two seconds of one texture, then two of another."""
    rng = np.random.default_rng(0)
    textures = (
        rng.integers(0, 255, (2, 96, 240, 3), np.uint8) // np.array([1, 4])[:, None, None, None]
    )
    path = tmp_path_factory.mktemp("video") / "halves.mp4"
    frames = (textures[n // 50][:, n : n + 128].astype(np.uint8) for n in range(100))
    write_video(path, frames, 25, (128, 96))
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def features_of(video, folder, tmp_path):
    out = tmp_path / "features"
    assert run("extract", video, "-o", out, "--backbone", folder, "-q") == 0
    return out / f"{video.stem}.safetensors"


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_prompts_cut_intervals_from_similarity(kind, video, tiny_model, tmp_path, capfd):
    folder = tiny_model(kind)
    asked = [part for prompt in PROMPTS for part in ("--prompt", prompt)]
    out = tmp_path / "found.json"
    command = ("localize", video, "--backbone", folder, *asked, "--keep", "all")
    assert run(*command, "-o", out) == 0
    assert "compares pictures with prompts" in capfd.readouterr().err
    found = json.loads(out.read_text())

    stored = features_of(video, folder, tmp_path)
    features = Features.load(stored)
    text = load_backbone(str(folder), ("rgb",)).prompts((*PROMPTS, BACKGROUND_PROMPT))
    unit = features.rgb / np.linalg.norm(features.rgb, axis=1, keepdims=True)
    expected = softmax(text.scale * unit @ text.vectors.T, axis=1)[:, :2]
    highest = np.sort(expected, axis=0)[-max(1, len(expected) // 8) :].mean(axis=0)
    for prompt, score in zip(PROMPTS, highest, strict=True):
        assert found["classes"].get(prompt, 0.0) == pytest.approx(score, abs=0.01)
    assert found["model"] == "prompts"
    sought = {prompt for prompt, score in zip(PROMPTS, highest, strict=True) if score >= 0.25}
    assert {one["label"] for one in found["intervals"]} == sought != set()
    assert all(0 <= one["start"] < one["end"] <= 4.0 for one in found["intervals"])

    again = tmp_path / "again.json"
    assert run("localize", stored, "--backbone", folder, *asked, "--keep", "all", "-o", again) == 0
    assert json.loads(again.read_text())["intervals"] == found["intervals"]


def test_other_prompts_are_another_model(tiny_model):
    folder = str(tiny_model("clip"))
    digests = {
        Localizer(backbone=folder, prompts=prompts).digest
        for prompts in (PROMPTS, PROMPTS[:1], ("nothing",))
    }
    assert len(digests) == 3


def test_any_classifier_localizes(video, tiny_model, tmp_path):
    folder = tiny_model("videomae")
    out = tmp_path / "found.json"
    assert run("localize", video, "--backbone", folder, "--keep", "all", "-o", out) == 0
    found = json.loads(out.read_text())
    features = Features.load(features_of(video, folder, tmp_path))
    backbone = load_backbone(str(folder), ("rgb",))
    expected = softmax(backbone.classify(features.rgb, "rgb"), axis=1)
    highest = np.sort(expected, axis=0)[-max(1, len(expected) // 8) :].mean(axis=0)
    assert found["model"] == folder.name
    for label, score in found["classes"].items():
        assert score == pytest.approx(highest[backbone.class_names.index(label)], abs=1e-5)
    assert found["intervals"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("vjepa2", (), "tiny-vjepa2 has no classifier: give a model"),
        ("clip", (), "say what to look for: --prompt TEXT"),
        ("videomae", ("--prompt", "a ball"), "prompts need a model of pictures and text"),
        ("clip", ("--prompt", " "), "one is empty or given twice"),
        ("clip", ("--prompt", "a", "--prompt", "a"), "one is empty or given twice"),
    ],
)
def test_mistakes_are_one_line_before_work(kind, options, message, video, tiny_model, capfd):
    folder = tiny_model(kind)
    capfd.readouterr()  # what the library says as it writes the model
    code = run("localize", video, "--backbone", folder, *options, "-q")
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_default_backbones():
    assert (PretrainedClassifier().backbone, PretrainedClassifier().name) == ("i3d", "kinetics400")
    assert PretrainedClassifier("mvit_v2_s").name == "mvit_v2_s"
    chosen = PretrainedClassifier(prompts=("a ball ",))
    assert (chosen.backbone, chosen.name, chosen.prompts) == (
        "clip-vit-b32",
        "prompts",
        ("a ball",),
    )


def test_features_of_another_backbone_are_named(video, tiny_model, tmp_path, capfd):
    stored = features_of(video, tiny_model("videomae"), tmp_path)
    assert run("localize", stored, "-q") == 2
    err = capfd.readouterr().err
    assert "features of the backbone tiny-videomae cannot be read by kinetics400" in err
    assert "or --backbone" in err


def train_and_evaluate(features, tmp_path, *more):
    """`train`, `localize` and `evaluate` on two feature files; the intervals found."""
    labels, model, out = tmp_path / "l.csv", tmp_path / "m.safetensors", tmp_path / "found.json"
    labels.write_text("video,labels\none,run\ntwo,jump\n")
    truth = tmp_path / "gt.csv"
    truth.write_text("video,label,start,end\none,run,0,1\ntwo,jump,0,1\n")
    small = ("--preset", "small", "--steps", 2, "-q")
    assert run("train", features, "--labels", labels, "-o", model, *small) == 0
    assert run("localize", features, "-m", model, "--keep", "all", "-o", out, "-q", *more) == 0
    assert run("evaluate", out, "--ground-truth", truth, "-q") == 0
    return model, json.loads(out.read_text())["videos"]


def write_two(folder):
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        texture = rng.integers(0, 255, (96, 240, 3), np.uint8)
        frames = (texture[:, n : n + 128] for n in range(20))
        write_video(folder / f"{name}.mp4", frames, 25, (128, 96))
    return folder


def test_a_model_on_features_of_a_local_folder(tiny_model, tmp_path, capfd):
    videos, out = write_two(tmp_path / "videos"), tmp_path / "features"
    folder = tiny_model("vjepa2")
    assert run("extract", videos, "-o", out, "--backbone", folder, "-q") == 0
    model, found = train_and_evaluate(out, tmp_path)
    assert [one["video"] for one in found] == ["one", "two"]
    capfd.readouterr()
    video = videos / "one.mp4"
    assert run("localize", video, "-m", model, "-q") == 2
    assert "no backbone 'tiny-vjepa2'" in capfd.readouterr().err
    again = tmp_path / "again.json"
    command = ("localize", video, "-m", model, "--backbone", folder, "--keep", "all", "-q")
    assert run(*command, "-o", again) == 0
    assert json.loads(again.read_text())["intervals"] == found[0]["intervals"]
    with pytest.raises(BasnetError, match="trained on other features"):
        _ = Localizer(model, backbone=str(tiny_model("videomae"))).extractor
    with pytest.raises(BasnetError, match="give either -m or --prompt"):
        Localizer(model, prompts=("a ball",))


def thin_mvit(name, classes):
    """MViT of the published input, with patches so large that it takes no time."""
    blocks = [MSBlockConfig(1, 16, 16, [3] * 3, [3] * 3, [1, 1, 1], [1, 1, 1])] * 2
    patches = {"patch_embed_kernel": (3, 32, 32), "patch_embed_stride": (2, 32, 32)}
    more = {"patch_embed_padding": (1, 0, 0), "residual_pool": True, "rel_pos_embed": True}
    more |= {"residual_with_cls_embed": False, "proj_after_attn": True}
    return MViT((224, 224), 16, blocks, num_classes=classes, **patches, **more)


def test_torchvisions_networks_from_import_to_evaluation(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    monkeypatch.setattr(libraries, "torchvision_network", thin_mvit)
    monkeypatch.setattr(torchvision_video, "torchvision_network", thin_mvit)
    torch.manual_seed(0)
    weights = tmp_path / "random.pth"
    torch.save(thin_mvit("mvit_v2_s", 400).state_dict(), weights)
    named = ("--name", "mvit_v2_s", "--stream", "rgb", "--sha256", sha256_of(weights))
    assert run("weights", "import", weights, *named) == 0
    videos, out = write_two(tmp_path / "videos"), tmp_path / "features"
    assert run("extract", videos, "-o", out, "--backbone", "mvit_v2_s", "-q") == 0
    features = Features.load(out / "one.safetensors")
    assert features.rgb.shape == (1, 16)
    assert features.settings["crop"] == 224
    assert [one["video"] for one in train_and_evaluate(out, tmp_path)[1]] == ["one", "two"]
    found = tmp_path / "untrained.json"
    assert run("localize", out, "--backbone", "mvit_v2_s", "--keep", "all", "-o", found, "-q") == 0
    assert json.loads(found.read_text())["videos"][0]["model"] == "mvit_v2_s"
