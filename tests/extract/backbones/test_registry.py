"""What the specs of backbones say, and their networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extract.backbones.registry import BACKBONES
from extract.backbones.spec import BackboneSpec
from extract.preprocessing.torch_ops import scale_rgb
from weights.manifest import networks

MINI = BACKBONES["i3d-mini"]


def test_frames_are_spread_as_pytorchvideo_does() -> None:
    assert list(replace(MINI, length=64, frames=8).seen) == [0, 9, 18, 27, 36, 45, 54, 63]
    assert list(replace(MINI, frames=16).seen) == list(MINI.seen) == list(range(16))
    assert list(replace(MINI, step=5).seen) == [0, 5, 10, 15]


@pytest.mark.parametrize("name", ["slow_r50", "i3d_r50", "x3d_m"])
def test_zoo_networks_have_the_recorded_dimension(name: str) -> None:
    spec = BACKBONES[name]
    with torch.device("meta"):
        network = spec.build("rgb", 400).eval()
        clip = torch.zeros(1, 3, spec.frames or 0, spec.crop, spec.crop)
        assert network.features(clip).shape == (1, spec.dimension)
        assert network.classifier()[0].shape == (400, spec.dimension)


def test_a_zoo_network_equals_the_zoo() -> None:
    from pytorchvideo.models import hub

    torch.manual_seed(0)
    spec = BACKBONES["x3d_m"]
    theirs = hub.x3d_m().eval()
    ours = spec.build("rgb", 400).eval()
    ours.load_state_dict(theirs.state_dict())
    clip = torch.rand(1, 3, 16, 224, 224)
    theirs.blocks[-1].activation = None  # it averages probabilities over places, here there is one
    with torch.inference_mode():
        torch.testing.assert_close(ours(clip), theirs(clip))


def scaled(spec: BackboneSpec, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures ``[B, T, H, W, 3]`` as a network sees their colours, the axes as they were."""
    found: NDArray[np.float32] = scale_rgb(
        torch.from_numpy(pictures), spec.mean, spec.deviation
    ).numpy()
    return found.transpose(0, 2, 3, 4, 1)


def test_scaling_of_colours() -> None:
    levels = np.array([0, 51, 255], np.uint8).repeat(3).reshape(1, 1, 1, 3, 3)
    found = scaled(BACKBONES["i3d"], levels)
    np.testing.assert_allclose(found[0, 0, 0, :, 1], [-1, -0.6, 1], atol=1e-6)
    assert found.dtype == np.float32
    expected = (levels / 255 - 0.45) / 0.225
    np.testing.assert_allclose(scaled(BACKBONES["x3d_m"], levels), expected, atol=1e-6)


def test_each_colour_is_scaled_by_its_own_mean_and_deviation() -> None:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    spec = replace(MINI, mean=mean, deviation=deviation)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 7, 3), dtype=np.uint8)
    expected = (pictures / 255 - np.array(mean)) / np.array(deviation)
    np.testing.assert_allclose(scaled(spec, pictures), expected, atol=1e-6)
    # A view that is cut out of larger pictures, as a crop is.
    cut = pictures[..., 1:4, 2:6, :]
    np.testing.assert_array_equal(scaled(spec, cut), scaled(spec, pictures)[..., 1:4, 2:6, :])


def test_i3d_sees_the_values_it_always_saw() -> None:
    pictures = np.arange(256 * 3, dtype=np.uint8).reshape(1, 1, 1, 256, 3)
    before = pictures * np.float32(1 / (255 * 0.5)) - np.float32(1)
    np.testing.assert_array_equal(scaled(BACKBONES["i3d"], pictures), before)


def test_every_backbone_has_weights_in_the_manifest() -> None:
    known = {(item.name, item.stream) for item in networks()}
    for spec in BACKBONES.values():
        assert {(spec.name, stream) for stream in spec.streams} <= known
