"""Models of transformers compute what the library computes, with its own preprocessing."""

import json
import shutil

import numpy as np
import pytest
from picture_reference import resized, scale_rgb

from extract.backbones.registry import backbone_spec
from extract.backbones.transformers_model import KNOWN, check_known
from extract.errors import ExtractError
from extract.inference.backbone import load_backbone
from extract.pipeline.settings import ExtractSettings, expected_settings
from weights import WeightsError
from weights.manifest import network
from weights.registry import entries, resolve
from weights.sources.huggingface import check_folder
from weights.user_files import import_file

transformers = pytest.importorskip("transformers")
import torch  # noqa: E402

KINDS = ("vjepa2", "videomae", "clip", "siglip")


def random_frames(count):
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 51, 70, 3), dtype=np.uint8)


def library_features(kind, folder, frames):
    """The library's own forward on its own preprocessing of the frames that are seen."""
    pictures = [torch.from_numpy(frame.transpose(2, 0, 1).copy()) for frame in frames]
    if kind == "vjepa2":
        inputs = transformers.AutoVideoProcessor.from_pretrained(folder)(
            torch.stack(pictures), return_tensors="pt"
        )
        model = transformers.AutoModel.from_pretrained(folder).eval()
        return model.get_vision_features(**inputs).mean(dim=1)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    if kind == "videomae":
        model = transformers.VideoMAEForVideoClassification.from_pretrained(folder).eval()
        seen = []
        model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        model(**processor([pictures], return_tensors="pt"))
        return seen[0]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = processor(pictures, return_tensors="pt")
    words = torch.tensor([[0, 3, 1]])
    return model(input_ids=words, **inputs).image_embeds.mean(dim=0, keepdim=True)


@pytest.mark.parametrize("kind", KINDS)
def test_features_equal_the_librarys_with_its_own_preprocessing(kind, tiny_model):
    folder = tiny_model(kind)
    backbone = load_backbone(str(folder), ("rgb",), device="cpu")
    spec = backbone.spec
    frames = random_frames(spec.length)
    crops = np.stack([spec.cropped(resized(spec, frame)) for frame in frames])
    found = backbone.rgb(scale_rgb(spec, crops[None]).transpose(0, 4, 1, 2, 3))
    with torch.inference_mode():
        expected = library_features(kind, folder, frames[:: spec.step]).numpy()
    assert found.shape == expected.shape == (1, spec.dimension)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert spec.name == folder.name  # no path of this machine enters a feature file


def test_a_classifier_has_its_classes(tiny_model):
    folder = tiny_model("videomae")
    backbone = load_backbone(str(folder), ("rgb",), device="cpu")
    assert backbone.class_names == ("running", "jumping", "falling")
    features = np.random.default_rng(0).normal(size=(5, backbone.spec.dimension))
    model = transformers.VideoMAEForVideoClassification.from_pretrained(folder)
    expected = model.classifier(torch.from_numpy(features).float()).detach().numpy()
    np.testing.assert_allclose(backbone.classify(features, "rgb"), expected, atol=1e-5)
    without = load_backbone(str(tiny_model("clip")), ("rgb",), device="cpu")
    assert without.class_names == ()
    with pytest.raises(ExtractError, match="has no classifier, it only makes features"):
        without.classify(np.zeros((1, 12), np.float32), "rgb")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_prompts_are_the_librarys_text(kind, tiny_model):
    folder = tiny_model(kind)
    prompts = ("a person running", "a video of nothing in particular")
    found = load_backbone(str(folder), ("rgb",), device="cpu").prompts(prompts)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)
    padding = {"siglip": {"padding": "max_length", "max_length": 16}}.get(kind, {"padding": True})
    inputs = tokens(list(prompts), return_tensors="pt", **padding)
    inputs = {"input_ids": inputs["input_ids"]} if kind == "siglip" else inputs
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
    pixels = torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        output = model(pixel_values=pixels, **inputs)
        features = output.image_embeds.numpy()
        # Of the library's own scores only SigLIP's hold a bias, the same for every prompt.
        expected = output.logits_per_image.softmax(dim=-1).numpy()
    np.testing.assert_allclose(found.vectors, output.text_embeds.numpy(), atol=1e-5)
    logits = found.scale * features @ found.vectors.T
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(-1).numpy(), expected, atol=1e-4)


def test_prompts_need_a_text_encoder(tiny_model):
    with pytest.raises(ExtractError, match="prompts need a model of pictures and text"):
        load_backbone(str(tiny_model("vjepa2")), ("rgb",), device="cpu").prompts(["a"])
    with pytest.raises(ExtractError, match="i3d-mini has no text encoder"):
        load_backbone("i3d-mini", ("rgb",), device="cpu").prompts(["a"])


def test_known_records_are_the_librarys_own_defaults():
    """What a folder of the hub holds is compared at loading; here what the library holds."""
    folders = {
        "vjepa2-vitl": transformers.VJEPA2VideoProcessor(),
        "clip-vit-b32": transformers.CLIPImageProcessor(),
        "siglip-base": transformers.SiglipImageProcessor(),
    }
    for name, processor in folders.items():
        spec = KNOWN[name]
        size = {key: value for key, value in dict(processor.size).items() if value}
        resize = spec.resize
        assert resize.antialias
        assert {2: "bilinear", 3: "bicubic"}[int(processor.resample)] == resize.interpolation
        assert size.get("shortest_edge", tuple(size.values())) == resize.size
        assert spec.mean == pytest.approx(tuple(processor.image_mean))
        assert spec.deviation == pytest.approx(tuple(processor.image_std))
    assert KNOWN["vjepa2-vitl"].dimension == transformers.VJEPA2Config().hidden_size
    assert KNOWN["clip-vit-b32"].dimension == transformers.CLIPConfig().projection_dim
    for spec in KNOWN.values():
        assert network(spec.name, "rgb").model == spec.model
        assert backbone_spec(spec.model) is spec


def test_another_model_under_a_known_name_is_refused(tiny_model):
    with pytest.raises(ExtractError, match=r"not the model clip-vit-b32, its dimension is 12"):
        check_known(KNOWN["clip-vit-b32"], tiny_model("clip"))


def damaged(tiny_model, tmp_path, name, data):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model("clip"), folder)
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.safetensors", None, "has no weights"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "cannot be read as a safetensors file"),
        ("config.json", b"{", "damaged JSON"),
        ("config.json", b"[]", "damaged JSON .expected an object"),
        ("config.json", b'{"model_type": "bert"}', "models of the kind bert are not supported"),
        ("preprocessor_config.json", None, "its preprocessing is missing"),
        ("preprocessor_config.json", b"{", "transformers cannot read the model"),
    ],
)
def test_missing_and_damaged_files_are_one_clear_line(tiny_model, tmp_path, name, data, message):
    folder = damaged(tiny_model, tmp_path, name, data)
    with pytest.raises((ExtractError, WeightsError), match=message) as caught:
        load_backbone(str(folder), ("rgb",), device="cpu").load(("rgb",))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def changed(path, **keys):
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "config.json",
            {
                "model_type": "own",
                "architectures": ["OwnForVideoClassification"],
                "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"},
            },
        ),
        (
            "preprocessor_config.json",
            {"image_processor_type": "Own", "auto_map": {"AutoImageProcessor": "own.Own"}},
        ),
    ],
)
def test_a_program_in_a_folder_is_refused_without_a_question(
    name, keys, tiny_model, tmp_path, monkeypatch
):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model("clip"), folder)
    changed(folder / name, **keys)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    questions = []
    monkeypatch.setattr("builtins.input", lambda text="": questions.append(text) or "y")
    with pytest.raises(ExtractError, match="a program of its own, and such") as caught:
        load_backbone(str(folder), ("rgb",), device="cpu").prompts(["a"])
    assert "\n" not in str(caught.value)
    assert not questions
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_tensors_are_refused(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_model("clip"), folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExtractError, match=r"visual_projection\.weight is missing; 1 of them"):
        load_backbone(str(folder), ("rgb",), device="cpu").load(("rgb",))


def test_an_imported_folder_is_found_by_name_and_checked(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"--offline forbids a download.*import .* --name clip"):
        resolve("clip-vit-b32", "rgb")
    with pytest.raises(WeightsError, match="name it with --name"):
        import_file(tiny_model("clip"))
    file = import_file(tiny_model("clip"), name="clip-vit-b32")
    assert file.sha256 == check_folder(tiny_model("clip")).sha256
    assert resolve("clip-vit-b32", "rgb") == file
    assert next(e for e in entries() if e.name == "clip-vit-b32").state == "present"
    other = tmp_path / "other"
    shutil.copytree(tiny_model("clip"), other)
    from safetensors.torch import load_file, save_file

    tensors = load_file(other / "model.safetensors")
    tensors["logit_scale"] += 1
    save_file(tensors, file.path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="damaged, the hash of its tensors is"):
        resolve("clip-vit-b32", "rgb")
    assert next(e for e in entries() if e.name == "clip-vit-b32").state == "damaged"


def test_a_name_of_the_hub_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"the model someone/model is not here and --offline"):
        backbone_spec("someone/model")
    for path in ("./nothing", "/no/such/folder"):
        with pytest.raises(ExtractError, match=f"no backbone '{path}'"):
            backbone_spec(path)


def test_a_download_is_recorded(tiny_model, tmp_path, monkeypatch):
    import huggingface_hub

    def snapshot_download(name, local_dir, allow_patterns):
        assert (name, "*.bin" in allow_patterns) == ("someone/model", False)
        shutil.copytree(tiny_model("videomae"), local_dir)

    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    monkeypatch.setenv("BASNET_OFFLINE", "")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    spec = backbone_spec("someone/model")
    assert (spec.name, spec.model) == ("someone/model", "someone/model")
    settings, unknown = expected_settings(ExtractSettings("someone/model", streams=("rgb",)))
    assert unknown == ()
    assert settings["weights"]["rgb"] == check_folder(tiny_model("videomae")).sha256

    def refuse(*arguments, **options):
        raise OSError("no network\nhere")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(WeightsError, match="other/model could not be downloaded: no network here"):
        backbone_spec("other/model")


def test_nothing_of_the_library_is_loaded_unless_used():
    import subprocess
    import sys

    program = (
        "import sys, extract\nfrom extract.backbones.registry import backbone_spec\n"
        "backbone_spec('i3d'); backbone_spec('clip-vit-b32')\n"
        "print([n for n in ('transformers', 'huggingface_hub', 'torchvision') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
