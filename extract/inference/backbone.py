"""A backbone with its weights, ready for inference."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.backbones.registry import backbone_record
from extract.backbones.spec import BackboneRecord
from extract.backbones.transformers_model import (
    KNOWN,
    TextTower,
    check_known,
    encode_prompts,
    load_model,
)
from extract.errors import ExtractError
from extract.inference.precision import check_precision
from extract.machine.devices import choose_device
from extract.streams import CHANNELS, STREAMS
from weights.keys import COUNTER
from weights.manifest import network as manifest_entry
from weights.registry import resolve, resolve_model
from weights.weights_file import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from extract.inference.torch_runtime import TorchRuntime

RUNTIMES = ("auto", "torch")


def load_network(record: BackboneRecord, stream: str, file: WeightsFile) -> "nn.Module":
    """The plain network of a stream with its weights, in inference mode, nothing folded.

    Raises:
        ExtractError: the weights are those of another network.
    """
    import torch

    if record.model is not None:
        if record.name in KNOWN:
            check_known(record, file.path)
        return load_model(file.path)
    tensors = {name: torch.from_numpy(value) for name, value in file.tensors().items()}
    with torch.device("meta"):  # no time spent on random numbers, and none can be left in place
        network = record.build(stream, len(class_names(record, stream, file)))
    # The batches that training counted have no part in inference, and old files lack them.
    for name in network.state_dict():
        if name.endswith(f".{COUNTER}"):
            tensors[name] = torch.zeros((), dtype=torch.int64)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ExtractError(f"{file.path}: not the network of {record.name} ({error})") from error
    return network.eval().requires_grad_(False)


def class_names(record: BackboneRecord, stream: str, file: WeightsFile) -> tuple[str, ...]:
    """Names of the classes that the published classifier tells apart, in the order of logits."""
    if "classes" in file.meta:
        return tuple(str(name) for name in file.meta["classes"])
    if record.model is not None:
        return ()
    return manifest_entry(record.name, stream).labels()


class Backbone:
    """A backbone ready for inference; the weights of a stream are loaded at its first use.

    Args:
        record: what it is.
        streams: the streams asked for.
        device: where it computes, as torch names it.
        winograd: compute its convolutions on a CPU by Winograd's filtering.
        precision: how exactly, see `extract.inference.precision`.
    """

    def __init__(
        self,
        record: BackboneRecord,
        streams: Sequence[str],
        device: str,
        winograd: bool = False,
        precision: str = "float32",
    ) -> None:
        self.record = record
        self.streams = tuple(streams)
        self.device = device
        self.precision = precision
        self._winograd = winograd
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
        """The verified weights file of a stream, fetched at first use.

        Raises:
            ExtractError: the stream was not asked for.
            WeightsError: its weights are not here and cannot be had.
        """
        if stream not in self.streams:
            raise ExtractError(
                f"{self.record.name} was loaded with {' and '.join(self.streams)} only, "
                f"not with {stream}"
            )
        if stream not in self._files:
            model = self.record.model
            self._files[stream] = (
                resolve_model(model) if model else resolve(self.record.name, stream)
            )
        return self._files[stream]

    def weights_hashes(self, streams: Sequence[str] | None = None) -> dict[str, str]:
        """Hash of the weights by value, equal whatever file they came from.

        Args:
            streams: those that are used; all that the backbone was loaded with without it.

        Raises:
            ExtractError: a stream was not asked for at loading.
            WeightsError: the weights of a stream are not here and cannot be had.
        """
        used = self.streams if streams is None else streams
        return {stream: self.file(stream).sha256 for stream in used}

    def weights_bytes(self) -> int:
        """Bytes of the files of all streams.

        Raises:
            WeightsError: the weights of a stream are not here and cannot be had.
        """
        paths = {self.file(stream).path for stream in self.streams}
        files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
        return sum(file.stat().st_size for file in files)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classifier's classes in the order of its logits."""
        return class_names(self.record, self.streams[0], self.file(self.streams[0]))

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
            ExtractError: the network has none.
        """
        if stream not in self._classifiers:
            self._loaded(stream)
        if stream not in self._classifiers:
            raise ExtractError(f"{self.record.name} has no classifier, it only makes features")
        weight, bias = self._classifiers[stream]
        return np.asarray(features, dtype=np.float32) @ weight.T + bias

    def prompts(self, prompts: Sequence[str]) -> TextTower:
        """Prompts as unit vectors that features are compared with.

        Raises:
            ExtractError: the backbone has no text encoder.
        """
        if self.record.model is None:
            raise ExtractError(
                f"{self.record.name} has no text encoder; prompts need one of clip-vit-b32 and "
                "siglip-base, or another model of CLIP or SigLIP"
            )
        return encode_prompts(self.file("rgb").path, prompts)

    def _features(self, stream: str, clip: "NDArray[np.float32] | Tensor") -> "Any":
        import torch

        side = self.record.crop
        expected = (CHANNELS[stream], self.record.length, side, side)
        if clip.ndim != 5 or tuple(clip.shape[1:]) != expected:
            raise ExtractError(
                f"{self.record.name} {stream} takes clips [B, {', '.join(map(str, expected))}], "
                f"got {list(clip.shape)}"
            )
        runtime = self._loaded(stream)
        if isinstance(clip, torch.Tensor):
            found = runtime.run(self.record.sampled(clip.detach().float()))
            return found.to(clip.device)
        clips = torch.from_numpy(np.ascontiguousarray(clip, np.float32))
        return runtime.run(self.record.sampled(clips)).cpu().numpy()

    def load(self, streams: Sequence[str]) -> None:
        """Load the networks of streams before their first clips.

        Raises:
            ExtractError: a stream was not asked for, or the weights are those of another network.
            WeightsError: its weights are not here and cannot be had.
        """
        for stream in streams:
            self._loaded(stream)

    def _loaded(self, stream: str) -> "TorchRuntime":
        """What runs a stream's network; the first of several threads loads it."""
        with self._loading:
            if stream not in self._runtimes:
                self._load(stream)
            return self._runtimes[stream]

    def _load(self, stream: str) -> None:
        from extract.inference.torch_runtime import TorchRuntime

        record, network = self.record, self.network(stream)
        classifier = network.classifier()  # type: ignore[operator]  # see FeatureNetwork
        if classifier is not None:
            weight, bias = classifier
            self._classifiers[stream] = (weight.numpy().copy(), bias.numpy().copy())
        shape = (CHANNELS[stream], len(record.seen), record.crop, record.crop)
        self._runtimes[stream] = TorchRuntime(
            network, shape, self.device, self._winograd, self.precision
        )

    def network(self, stream: str) -> "nn.Module":
        """The plain network of a stream with its weights, in inference mode.

        Raises:
            ExtractError: the weights are those of another network.
            WeightsError: its weights are not here and cannot be had.
        """
        return load_network(self.record, stream, self.file(stream))


def load_backbone(
    name: str = "i3d",
    streams: Sequence[str] = STREAMS,
    device: str = "auto",
    runtime: str = "auto",
    length: int | None = None,
    precision: str = "float32",
) -> Backbone:
    """Make a backbone ready; weights are fetched and loaded at the first use of their stream.

    Args:
        name: a name of ``BACKBONES``.
        streams: streams that will be used.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        runtime: ``auto`` (Winograd's filtering for Inception-I3D of the published size on a CPU),
            or ``torch`` for torch's own convolutions everywhere.
        length: frames of a clip instead of the record's; a longer clip's feature is the mean over
            its time, as in the published evaluation.
        precision: of the networks, float32 or one that a GPU has, see
            `extract.inference.precision`.

    Raises:
        ExtractError: an unknown backbone, stream, device or runtime, or a precision that the device
            does not have.
    """
    record = backbone_record(name)
    if length is not None:
        record = replace(record, length=length)
    for stream in streams:
        if stream not in record.streams:
            raise ExtractError(
                f"{name} has no {stream} stream, only {' and '.join(record.streams)}"
            )
    if not streams:
        raise ExtractError(f"no stream was chosen; {name} has {' and '.join(record.streams)}")
    if runtime not in RUNTIMES:
        raise ExtractError(f"no runtime '{runtime}'; choose {' or '.join(RUNTIMES)}")
    chosen = choose_device(device)
    check_precision(precision, chosen)
    winograd = record.winograd and runtime == "auto" and chosen == "cpu"
    return Backbone(record, streams, chosen, winograd, precision)
