"""Torchvision's networks compute what torchvision computes, with its own preprocessing."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from picture_reference import resized, scale_rgb
from torchvision.models import video
from torchvision.models.video.mvit import MSBlockConfig, MViT

from extract.backbones import torchvision_video
from extract.backbones.registry import backbone_spec
from extract.backbones.torchvision_video import CLIPS, LAST_LAYER
from extract.errors import ExtractError
from extract.inference import backbone as loading
from extract.inference.backbone import Backbone, load_backbone
from extract.preprocessing.crop import even_crop
from extract.preprocessing.torchvision_resize import Resize
from weights import WeightsError
from weights.formats.libraries import torchvision_weights
from weights.manifest import network

ENTRIES = {name: network(name, "rgb").sources[0].url for name in CLIPS}


class Kept(SimpleNamespace):
    """A weights file in memory."""

    def tensors(self):
        return {name: value.numpy() for name, value in self.network.state_dict().items()}


@pytest.fixture(params=CLIPS)
def name(request):
    return request.param


def library_features(network, last, clips):
    """What enters the last layer in torchvision's own forward, and its logits."""
    seen = []
    layer = network.get_submodule(last)
    with layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        logits = network(clips)
    feature = seen[0]
    return feature.mean(dim=tuple(range(2, feature.ndim))) if feature.ndim > 2 else feature, logits


def small(name):
    """A network of the same family that sees 64 pixels in a fraction of the time."""
    torch.manual_seed(0)
    if name == "mvit_v2_s":
        blocks = [MSBlockConfig(1, 16, 16, [3] * 3, [3] * 3, [1, s, s], [1] * 3) for s in (1, 2)]
        build = partial(MViT, (64, 64), 16, blocks, residual_pool=True, rel_pos_embed=True)
        found = build(residual_with_cls_embed=False, proj_after_attn=True)
    else:
        found = getattr(video, name)()
    if name == "s3d":
        found.avgpool = torch.nn.AvgPool3d((2, 2, 2), stride=1)
    for parameter in found.parameters():  # biases of zero would hide a mistake
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return found.eval()


def seen_by(spec, frames):
    """Frames ``[N, H, W, 3]`` as the pipeline shows them to a network, ``[1, 3, N, h, w]``."""
    crops = np.stack([spec.cropped(resized(spec, frame)) for frame in frames])
    return scale_rgb(spec, crops[None]).transpose(0, 4, 1, 2, 3)


def random_frames(count):
    rng = np.random.default_rng(count)
    return rng.integers(0, 256, (count, 131, 170, 3), dtype=np.uint8)


def test_pictures_are_those_of_torchvisions_preprocessing(name):
    frames = random_frames(2)
    theirs = torchvision_weights(ENTRIES[name]).transforms()
    expected = theirs(torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(seen_by(backbone_spec(name), frames)[0], expected, atol=1e-6)


def test_features_equal_torchvisions_with_its_own_preprocessing(name, monkeypatch):
    theirs = small(name)
    file = Kept(network=theirs, path="made up", sha256="aa", meta={})
    monkeypatch.setattr(Backbone, "file", lambda self, stream: file)
    monkeypatch.setattr(torchvision_video, "torchvision_network", lambda *asked: small(name))
    spec = replace(
        backbone_spec(name), resize=Resize(72), crop=64, length=16 * backbone_spec(name).step
    )
    monkeypatch.setattr(loading, "backbone_spec", lambda name: spec)
    backbone = load_backbone(name, ("rgb",), device="cpu")
    frames = random_frames(spec.length)
    found = backbone.rgb(seen_by(spec, frames))

    entry = torchvision_weights(ENTRIES[name])
    transforms = partial(
        entry.transforms.func, mean=spec.mean, std=spec.deviation, resize_size=(72,)
    )(crop_size=(64, 64))
    seen = torch.from_numpy(frames[:: spec.step].transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        expected, logits = library_features(theirs, LAST_LAYER[name], transforms(seen)[None])
    assert found.shape == expected.shape
    assert np.abs(found - expected.numpy()).max() <= 1e-5 * expected.abs().max().item()
    classes = backbone.classify(found, "rgb")
    assert np.abs(classes - logits.numpy()).max() <= 1e-5 * logits.abs().max().item()
    assert backbone.class_names == tuple(entry.meta["categories"])


def test_the_feature_is_as_long_as_the_record_says(name):
    spec = backbone_spec(name)
    with torch.device("meta"):
        built = spec.build("rgb", 400)
    assert built.classifier()[0].shape == (400, spec.dimension)


def test_the_record_holds_what_torchvision_states(name):
    weights = torchvision_weights(ENTRIES[name])
    spec, item = backbone_spec(name), network(name, "rgb")
    shown, source = weights.transforms(), item.sources[0]
    assert ([spec.crop] * 2, spec.mean) == (shown.crop_size, tuple(shown.mean))
    assert spec.deviation == tuple(shown.std)
    assert weights is type(weights).DEFAULT
    assert source.address == weights.url
    assert source.address.endswith(f"/{source.file}")
    assert f"-{source.content.sha256}.pth" in source.file
    assert item.accuracy.startswith(f"Kinetics-400: top-1 {shown_accuracy(weights):.1f}, top-5")
    rate = float(spec.fps) / spec.step
    words = weights.meta["_docs"]
    assert f"frame_rate={rate:g}" in words
    evaluated = (spec.classifier_length or spec.length) // spec.step
    assert f"clip_len={evaluated}`" in words


def shown_accuracy(weights):
    return weights.meta["_metrics"]["Kinetics-400"]["acc@1"]


def test_another_networks_weights_are_refused(monkeypatch):
    with torch.device("meta"):
        other = video.r3d_18()
    file = Kept(network=other.to_empty(device="cpu"), path="r3d.pth", sha256="aa", meta={})
    monkeypatch.setattr(Backbone, "file", lambda self, stream: file)
    with pytest.raises(ExtractError, match=r"r3d.pth: not the network of r2plus1d_18 \("):
        load_backbone("r2plus1d_18", ("rgb",), device="cpu").load(("rgb",))


def test_missing_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    backbone = load_backbone("mvit_v2_s", ("rgb",), device="cpu")
    with pytest.raises(WeightsError) as caught:
        backbone.file("rgb")
    text = str(caught.value)
    assert "\n" not in text
    assert "`basnet weights download mvit_v2_s rgb`" in text
    assert f"run `basnet weights import {network('mvit_v2_s', 'rgb').sources[0].file}`" in text


@pytest.mark.parametrize(("height", "width"), [(131, 170), (301, 170), (64, 64), (257, 256)])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [96, (80, 107)])
def test_resizing_and_cropping_is_torchvisions(height, width, antialias, size):
    from torchvision.transforms import CenterCrop
    from torchvision.transforms import Resize as First
    from torchvision.transforms.v2 import Resize as Second

    frame = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = Resize(size, antialias=antialias).of(frame)
    resize = (Second if antialias else First)(size, antialias=antialias)
    expected = resize(torch.from_numpy(frame.transpose(2, 0, 1).copy()))
    np.testing.assert_array_equal(found.transpose(2, 0, 1), expected.numpy())
    side = 71
    cropped = CenterCrop(side)(expected).numpy()
    np.testing.assert_array_equal(even_crop(found, side).transpose(2, 0, 1), cropped)


def test_a_picture_smaller_than_the_crop_is_an_error():
    with pytest.raises(ExtractError, match="a frame of 9x8 pixels is smaller than the crop of 10"):
        even_crop(np.zeros((8, 9, 3), np.uint8), 10)
