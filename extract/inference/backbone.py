"""A backbone with its weights, ready for inference."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones.registry import backbone_spec
from extract.backbones.spec import BackboneSpec
from extract.backbones.transformers_model import (
    KNOWN,
    TextTower,
    check_known,
    encode_prompts,
    load_model,
)
from extract.errors import ExtractError
from extract.inference.precision import check_precision
from extract.machine.device_check import Sample, checked_device
from extract.streams import CHANNELS, STREAMS
from weights.formats.keys import COUNTER
from weights.manifest import network as manifest_entry
from weights.weights_file import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from extract.inference.torch_runtime import TorchRuntime


def load_network(spec: BackboneSpec, stream: str, file: WeightsFile) -> "nn.Module":
    """The plain network of a stream with its weights, in inference mode.

    Raises:
        ExtractError: the weights are those of another network.
    """
    import torch

    if spec.model is not None:
        if spec.name in KNOWN:
            check_known(spec, file.path)
        return load_model(file.path)
    tensors = {name: torch.from_numpy(value) for name, value in file.tensors().items()}
    with torch.device("meta"):  # no random numbers, which could be left in place
        network = spec.build(stream, len(class_names(spec, stream, file)))
    # Batch counters have no part in inference, and old files lack them.
    for name in network.state_dict():
        if name.endswith(f".{COUNTER}"):
            tensors[name] = torch.zeros((), dtype=torch.int64)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ExtractError(f"{file.path}: not the network of {spec.name} ({error})") from error
    return network.eval().requires_grad_(False)


def class_names(spec: BackboneSpec, stream: str, file: WeightsFile) -> tuple[str, ...]:
    """Class names of the published classifier in the order of its logits."""
    if "classes" in file.meta:
        return tuple(str(name) for name in file.meta["classes"])
    if spec.model is not None:
        return ()
    return manifest_entry(spec.name, stream).labels()


class Backbone:
    """A backbone ready for inference; the weights of a stream are loaded at its first use.

    Its methods raise WeightsError if the weights of a stream are not here and cannot be downloaded.

    Args:
        spec: the network and what it expects.
        streams: the streams that will be used.
        device: as torch names it.
        precision: see `extract.inference.precision`.
    """

    def __init__(
        self, spec: BackboneSpec, streams: Sequence[str], device: str, precision: str = "float32"
    ) -> None:
        self.spec = spec
        self.streams = tuple(streams)
        self.device = device
        self.precision = precision
        self._winograd = spec.winograd and device == "cpu"
        self._files: dict[str, WeightsFile] = {}
        self._runtimes: dict[str, TorchRuntime] = {}
        self._loading = threading.Lock()
        self._classifiers: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    @property
    def runtime(self) -> str:
        """What computes, for the log and the feature file."""
        from extract.inference.torch_runtime import describe

        return describe(self.device, self._winograd)

    def file(self, stream: str) -> WeightsFile:
        """The verified weights file of a stream, downloaded at first use.

        Raises:
            ExtractError: the backbone was loaded without this stream.
        """
        if stream not in self.streams:
            raise ExtractError(
                f"{self.spec.name} was loaded with {' and '.join(self.streams)} only, "
                f"not with {stream}"
            )
        if stream not in self._files:
            self._files[stream] = self.spec.weights(stream)
        return self._files[stream]

    def weights_hashes(self, streams: Sequence[str] | None = None) -> dict[str, str]:
        """Hash of the weights' values per stream, equal whatever file they came from.

        Args:
            streams: default: all streams that the backbone was loaded with.

        Raises:
            ExtractError: the backbone was loaded without one of the streams.
        """
        return {stream: self.file(stream).sha256 for stream in streams or self.streams}

    def weights_bytes(self) -> int:
        """Size of the files of all streams in bytes."""
        paths = {self.file(stream).path for stream in self.streams}
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        return sum(file.stat().st_size for file in files)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names of the classifier in the order of its logits."""
        return class_names(self.spec, self.streams[0], self.file(self.streams[0]))

    def rgb(self, clip: "NDArray[np.float32] | Tensor") -> "Any":
        """Features of picture clips ``[B, 3, length, crop, crop]``: ``[B, D] float32``.

        Colours are scaled as `torch_ops.scale_rgb` does (I3D: [-1, 1]). A torch tensor gives a
        torch tensor on its own device, an array an array.
        """
        return self._features("rgb", clip)

    def flow(self, clip: "NDArray[np.float32] | Tensor") -> "Any":
        """Features of flow clips ``[B, 2, length, crop, crop]`` in [-1, 1]: ``[B, D] float32``."""
        return self._features("flow", clip)

    def classify(self, features: NDArray[np.float32], stream: str) -> NDArray[np.float32]:
        """The published classifier on cached features ``[T, D]``: logits ``[T, classes]``.

        Raises:
            ExtractError: the network has no classifier.
        """
        if stream not in self._classifiers:
            self._loaded(stream)
        if stream not in self._classifiers:
            raise ExtractError(f"{self.spec.name} has no classifier, it only makes features")
        weight, bias = self._classifiers[stream]
        return np.asarray(features, dtype=np.float32) @ weight.T + bias

    def prompts(self, prompts: Sequence[str]) -> TextTower:
        """Prompts as unit vectors to compare features with.

        Raises:
            ExtractError: the backbone has no text encoder.
        """
        if self.spec.model is None:
            raise ExtractError(
                f"{self.spec.name} has no text encoder; prompts need clip-vit-b32, siglip-base or "
                "another CLIP or SigLIP model"
            )
        return encode_prompts(self.file("rgb").path, prompts)

    def _features(self, stream: str, clip: "NDArray[np.float32] | Tensor") -> "Any":
        import torch

        side = self.spec.crop
        expected = (CHANNELS[stream], self.spec.length, side, side)
        if clip.ndim != 5 or tuple(clip.shape[1:]) != expected:
            raise ExtractError(
                f"{self.spec.name} {stream} takes clips [B, {', '.join(map(str, expected))}], "
                f"got {list(clip.shape)}"
            )
        runtime = self._loaded(stream)
        if isinstance(clip, torch.Tensor):
            found = runtime.run(self.spec.sampled(clip.detach().float()))
            return found.to(clip.device)
        clips = torch.from_numpy(np.ascontiguousarray(clip, np.float32))
        return runtime.run(self.spec.sampled(clips)).cpu().numpy()

    def load(self, streams: Sequence[str]) -> None:
        """Load the networks of streams before their first clips.

        Raises:
            ExtractError: the backbone was loaded without one of the streams, or the weights are
                those of another network.
        """
        for stream in streams:
            self._loaded(stream)

    def _loaded(self, stream: str) -> "TorchRuntime":
        """A stream's network ready to run; the first of several threads loads it."""
        with self._loading:
            if stream not in self._runtimes:
                self._load(stream)
            return self._runtimes[stream]

    def _load(self, stream: str) -> None:
        from extract.inference.torch_runtime import TorchRuntime

        spec, network = self.spec, self.network(stream)
        classifier = network.classifier()  # type: ignore[operator]  # see BackboneSpec.build
        if classifier is not None:
            weight, bias = classifier
            self._classifiers[stream] = (weight.numpy().copy(), bias.numpy().copy())
        shape = (CHANNELS[stream], len(spec.seen), spec.crop, spec.crop)
        self._runtimes[stream] = TorchRuntime(
            network, shape, self.device, self._winograd, self.precision
        )

    def network(self, stream: str) -> "nn.Module":
        """The plain network of a stream with its weights, in inference mode.

        Raises:
            ExtractError: the weights are those of another network.
        """
        return load_network(self.spec, stream, self.file(stream))


def _features_of_noise(device: str) -> Callable[[int], NDArray[np.float32]]:
    """Features ``[count, 2 D]`` of noise by both networks of the bundled small I3D."""
    spec = backbone_spec("i3d-mini")
    backbone = Backbone(spec, STREAMS, device)

    def compute(count: int) -> NDArray[np.float32]:
        shape = (count, 3, spec.length, spec.crop, spec.crop)
        clips = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        return np.concatenate([backbone.rgb(clips), backbone.flow(clips[:, :2])], axis=1)

    return compute


def _relative_difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


NETWORK_SAMPLE = Sample(
    "features", "snippets", _features_of_noise, _relative_difference, 1e-3, "of the largest"
)


def load_backbone(
    name: str = "i3d",
    streams: Sequence[str] = STREAMS,
    device: str = "auto",
    length: int | None = None,
    precision: str = "float32",
) -> Backbone:
    """Prepare a backbone; weights are downloaded and loaded at the first use of their stream.

    Args:
        name: see `extract.backbones.registry.backbone_spec`.
        streams: streams that will be used.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``. A GPU is checked
            at its first use.
        length: frames per clip; default: those of a snippet. The feature of a longer clip is the
            mean over its time, as in the published evaluation.
        precision: of the networks: float32, or one of a GPU, see `extract.inference.precision`.

    Raises:
        ExtractError: an unknown backbone, stream or device, a device that lacks the precision, or a
            GPU that computes wrongly.
    """
    spec = backbone_spec(name)
    if length is not None:
        spec = replace(spec, length=length)
    for stream in streams:
        if stream not in spec.streams:
            raise ExtractError(f"{name} has no {stream} stream, only {' and '.join(spec.streams)}")
    if not streams:
        raise ExtractError(f"no stream was chosen; {name} has {' and '.join(spec.streams)}")
    chosen = checked_device(device, (NETWORK_SAMPLE,))
    check_precision(precision, chosen)
    return Backbone(spec, streams, chosen, precision)
