from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from bundled_weights import write_bundled
from torch import nn

from extract import ExtractError
from extract.backbones import spec as specs
from extract.backbones.i3d import InceptionI3D
from extract.backbones.registry import BACKBONES
from extract.inference.backbone import load_backbone, load_network
from extract.inference.batching import SMALL_BATCH, cpu_batch
from extract.inference.packed_i3d import usable
from extract.inference.torch_runtime import TorchRuntime
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import ExtractSettings
from weights import WeightsError
from weights.registry import check
from weights.weights_file import WeightsFile

MINI = BACKBONES["i3d-mini"]
LABELS = ("run", "jump", "fall")


def made_up(channels: int) -> InceptionI3D:
    network = InceptionI3D(channels, len(LABELS), width=0.25, pool="whole").eval()
    generator = torch.Generator().manual_seed(channels)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            deviation = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data.normal_(0, deviation, generator=generator)
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.requires_grad_(False)


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, WeightsFile]:
    """Made-up weights of the small network in place of the bundled ones."""
    files = {}
    for stream, channels in (("rgb", 3), ("flow", 2)):
        path = tmp_path / f"{stream}.safetensors"
        state = {name: value.numpy() for name, value in made_up(channels).state_dict().items()}
        meta = {"name": "i3d-mini", "stream": stream, "classes": list(LABELS), "command": "test"}
        write_bundled(path, state, meta)
        files[stream] = check(path)

    def resolve(name: str, stream: str, offline: bool | None) -> WeightsFile:
        if stream not in files:
            raise WeightsError(f"{stream} is missing")
        return files[stream]

    monkeypatch.setattr(specs, "resolve", resolve)
    return files


def clips(count: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (count, channels, 16, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_the_packed_network_computes_the_network(mini: dict[str, WeightsFile], stream: str) -> None:
    x = clips(SMALL_BATCH + 1, 3 if stream == "rgb" else 2)
    network = load_network(MINI, stream, mini[stream])
    assert isinstance(network, InceptionI3D)
    with torch.inference_mode():
        expected = network.features(torch.from_numpy(x)).numpy()
        logits = network(torch.from_numpy(x)).numpy()
    backbone = load_backbone("i3d-mini", device="cpu")
    found = getattr(backbone, stream)(x)
    assert found.dtype == np.float32
    assert found.shape == (len(x), MINI.dimension)
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(backbone.classify(found, stream), logits, rtol=1e-3, atol=1e-3)
    assert backbone.runtime.startswith("torch ")


def test_a_feature_does_not_depend_on_its_neighbours(mini: dict[str, WeightsFile]) -> None:
    backbone = load_backbone("i3d-mini", ("rgb",), device="cpu")
    x = clips(SMALL_BATCH + 2)
    together = backbone.rgb(x)
    for row in range(len(x)):
        np.testing.assert_array_equal(backbone.rgb(x[row : row + 1])[0], together[row])
    np.testing.assert_array_equal(backbone.rgb(x[::-1].copy()), together[::-1])


def test_a_longer_clip_has_the_mean_over_its_time(mini: dict[str, WeightsFile]) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 64, 64)).astype(np.float32)
    network = load_network(MINI, "rgb", mini["rgb"])
    with torch.inference_mode():
        logits = network(torch.from_numpy(x)).numpy()
    backbone = load_backbone("i3d-mini", ("rgb",), device="cpu", length=32)
    found = backbone.classify(backbone.rgb(x), "rgb")
    np.testing.assert_allclose(found, logits, rtol=1e-3, atol=1e-3)


def test_torch_in_torch_out(mini: dict[str, WeightsFile]) -> None:
    backbone = load_backbone("i3d-mini", ("rgb",), device="cpu")
    x = clips(2)
    found = backbone.rgb(torch.from_numpy(x))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), backbone.rgb(x))


def test_names_hashes_and_lazy_weights(mini: dict[str, WeightsFile]) -> None:
    backbone = load_backbone("i3d-mini", device="cpu")
    del mini["flow"]
    assert backbone.class_names == LABELS
    assert backbone.rgb(clips(1)).shape == (1, 256)
    with pytest.raises(WeightsError, match="flow is missing"):
        backbone.weights_hashes()
    assert backbone.weights_hashes(("rgb",)) == {"rgb": mini["rgb"].sha256}
    only = load_backbone("i3d-mini", ("rgb",), device="cpu")
    assert only.weights_hashes() == {"rgb": mini["rgb"].sha256}
    with pytest.raises(ExtractError, match="loaded with rgb only, not with flow"):
        only.flow(clips(1, 2))


def test_weights_of_another_network_are_refused(mini: dict[str, WeightsFile]) -> None:
    with pytest.raises(ExtractError, match="not the network of i3d-mini"):
        load_network(MINI, "flow", mini["rgb"])


def test_mistakes_name_what_is_valid(mini: dict[str, WeightsFile]) -> None:
    with pytest.raises(ExtractError, match="did you mean 'i3d-mini'"):
        load_backbone("i3dmini")
    with pytest.raises(ExtractError, match="known: i3d, "):
        load_backbone("resnet")
    with pytest.raises(ExtractError, match="slow_r50 has no flow stream, only rgb"):
        load_backbone("slow_r50")
    with pytest.raises(ExtractError, match="no stream was chosen"):
        load_backbone("i3d", ())
    with pytest.raises(ExtractError, match="no device 'tpu'"):
        load_backbone("i3d", device="tpu")
    backbone = load_backbone("i3d-mini", ("rgb",), device="cpu")
    with pytest.raises(ExtractError, match=r"takes clips \[B, 3, 16, 64, 64\], got \[1, 2, 16"):
        backbone.rgb(clips(1, 2))


def test_a_gpu_that_is_not_there_is_an_error_before_work_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ExtractError, match="no device 'cuda:7': torch finds cuda:0 here"):
        load_backbone("i3d-mini", device="cuda:7")


def test_networks_compute_in_exact_float32_whatever_the_caller_chose(
    mini: dict[str, WeightsFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(x: torch.Tensor) -> torch.Tensor:
        cudnn = torch.backends.cudnn
        seen.append((torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.deterministic))
        return torch.zeros(len(x), 1)

    network = load_network(MINI, "rgb", mini["rgb"])
    monkeypatch.setattr(network, "features", spy)
    runtime = TorchRuntime(WithoutPacking(network), (3, 16, 64, 64))
    torch.set_float32_matmul_precision("medium")
    try:
        runtime.run(torch.from_numpy(clips(1)))
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [("highest", False, True)]


def test_torch_without_packed_convolutions(
    mini: dict[str, WeightsFile], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    x = clips(1)
    packed = load_backbone("i3d-mini", ("rgb",), device="cpu").rgb(x)
    monkeypatch.setattr("extract.inference.torch_runtime.usable", lambda: False)
    with caplog.at_level("INFO"):
        plain = load_backbone("i3d-mini", ("rgb",), device="cpu").rgb(x)
    assert "lacks packed convolutions" in caplog.text
    np.testing.assert_allclose(packed, plain, rtol=1e-3, atol=1e-5)


def test_packed_convolutions_are_tried_before_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.inference.packed_i3d.pad_same", lambda x, k, s: (x, (0, 0, 0)))
    assert not usable()  # another shape or value comes out: the plain module must run


def test_one_published_clip_at_a_time_on_a_cpu() -> None:
    assert cpu_batch((3, 16, 224, 224)) == cpu_batch((2, 16, 224, 224)) == 1
    assert cpu_batch((3, 16, 64, 64)) == SMALL_BATCH


@pytest.mark.parametrize("sampling", [{"frames": 16}, {"step": 5}])
def test_a_network_sees_the_frames_that_its_record_says(
    sampling: dict[str, int], mini: dict[str, WeightsFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES, "i3d-mini", replace(MINI, length=80, **sampling))
    long = np.random.default_rng(1).uniform(-1, 1, (1, 3, 80, 64, 64)).astype(np.float32)
    found = load_backbone("i3d-mini", ("rgb",), device="cpu").rgb(long)
    monkeypatch.setitem(BACKBONES, "i3d-mini", MINI)
    few = long[
        :, :, np.linspace(0, 79, 16).astype(int) if "frames" in sampling else slice(0, 80, 5)
    ]
    seen = load_backbone("i3d-mini", ("rgb",), device="cpu").rgb(few)
    np.testing.assert_array_equal(found, seen)


@pytest.mark.parametrize(("name", "fps"), [("i3d-mini", 25), ("slow_r50", 30), ("x3d_m", 30)])
def test_frames_per_second_are_those_of_the_backbone(
    name: str, fps: int, monkeypatch: pytest.MonkeyPatch, mini: dict[str, WeightsFile]
) -> None:
    monkeypatch.setattr(specs, "resolve", lambda name, stream, offline: mini["rgb"])
    chosen = ExtractSettings(name, streams=("rgb",))
    extractor = Extractor(chosen, device="cpu")
    assert (extractor.grid.fps, extractor.file_settings["fps"]) == (fps, str(fps))
    other = Extractor(replace(chosen, fps=Fraction(12)), device="cpu")
    assert (other.grid.fps, other.file_settings["fps"]) == (12, "12")


def test_weights_of_a_stream_that_is_not_used_are_not_asked_for(
    mini: dict[str, WeightsFile],
) -> None:
    del mini["flow"]
    backbone = load_backbone("i3d-mini", device="cpu")
    chosen = ExtractSettings("i3d-mini", streams=("rgb",))
    extractor = Extractor(chosen, backbone=backbone, device="cpu")
    assert extractor.file_settings["weights"] == {"rgb": mini["rgb"].sha256}
    with pytest.raises(ExtractError, match="loaded with rgb only, not with flow"):
        Extractor(
            ExtractSettings("i3d-mini"), backbone=load_backbone("i3d-mini", ("rgb",), device="cpu")
        )


def test_a_backbone_of_another_precision_is_refused(
    mini: dict[str, WeightsFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExtractError, match="precision bfloat16 needs a GPU"):
        load_backbone("i3d-mini", device="cpu", precision="bfloat16")
    backbone = load_backbone("i3d-mini", device="cpu")
    chosen = ExtractSettings("i3d-mini", precision="bfloat16")
    with pytest.raises(ExtractError, match=r"ask for precision bfloat16, .* in float32"):
        Extractor(chosen, backbone=backbone, device="cpu")
    exact = Extractor(ExtractSettings("i3d-mini"), backbone=backbone, device="cpu")
    assert exact.file_settings["precision"] == "float32"


def test_a_rounded_network_rounds_and_still_gives_float32(mini: dict[str, WeightsFile]) -> None:
    network, x = load_network(MINI, "rgb", mini["rgb"]), torch.from_numpy(clips(1))
    exact, rounded = (
        # On a network that no packed kernels know, so that torch's own are run.
        TorchRuntime(WithoutPacking(network), (3, 16, 64, 64), precision=precision).run(x)
        for precision in ("float32", "bfloat16")
    )
    assert rounded.dtype == torch.float32
    apart = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-5 < apart < 0.1


class WithoutPacking(torch.nn.Module):
    """The same network under another class."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.features = network.features


@pytest.mark.parametrize(
    ("count", "largest", "sizes"),
    [(3, 1, [1, 1, 1]), (9, 4, [4, 4, 4]), (16, 16, [16]), (5, 16, [4, 4]), (35, 16, [16, 16, 4])],
)
def test_a_rest_is_computed_in_small_batches(
    count: int, largest: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mean(torch.nn.Module):
        seen: ClassVar[list[int]] = []

        def features(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(len(x))
            return x.flatten(1).mean(1, keepdim=True)

    monkeypatch.setattr("extract.inference.torch_runtime.cpu_batch", lambda shape: largest)
    Mean.seen.clear()
    given = torch.arange(count).float()[:, None, None, None, None].expand(-1, 3, 2, 2, 2)
    found = TorchRuntime(Mean(), (3, 2, 2, 2)).run(given)
    assert Mean.seen == sizes
    assert found[:, 0].tolist() == list(range(count))
