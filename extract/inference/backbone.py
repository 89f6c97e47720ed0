"""A backbone with its weights, ready for inference."""

import functools
import threading
from collections.abc import Callable, Sequence
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
from extract.inference.runtimes import Choice, Runtime, choose_runtime, make_runtime
from extract.streams import CHANNELS, STREAMS
from weights.keys import COUNTER
from weights.manifest import network as manifest_entry
from weights.registry import WeightsFile, resolve, resolve_model

if TYPE_CHECKING:
    from torch import Tensor, nn


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

    Attributes:
        record: what it is.
        streams: the streams asked for.
        device: where, as torch names it.
        precision: how exactly, see `extract.inference.precision`.
    """

    def __init__(
        self,
        record: BackboneRecord,
        streams: Sequence[str],
        prepare: "Callable[[nn.Module, tuple[int, ...]], Runtime]",
        choice: Choice,
        precision: str = "float32",
    ) -> None:
        self.record = record
        self.streams = tuple(streams)
        self._choice = choice
        self.device = choice.device
        self.precision = precision
        self._prepare = prepare
        self._files: dict[str, WeightsFile] = {}
        self._runtimes: dict[str, Runtime] = {}
        self._loading = threading.Lock()
        self._classifiers: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    @property
    def runtime(self) -> str:
        """What computes, for the log and the feature file."""
        return self._choice.describe()

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

        Colours are scaled as `BackboneRecord.scale_rgb` does (I3D: [-1, 1]). A torch tensor gives a
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
            return runtime.run_there(clip.detach().float()).to(clip.device)
        return runtime.run(np.asarray(clip, dtype=np.float32))

    def load(self, streams: Sequence[str]) -> None:
        """Load the networks of streams before their first clips.

        Raises:
            ExtractError: a stream was not asked for, or the weights are those of another network.
            WeightsError: its weights are not here and cannot be had.
        """
        for stream in streams:
            self._loaded(stream)

    def unload(self) -> None:
        """Forget the networks; the next clips load them for the threads that there are then."""
        with self._loading:
            self._runtimes.clear()

    def _loaded(self, stream: str) -> Runtime:
        """What runs a stream's network; the first of several threads loads it."""
        with self._loading:
            if stream not in self._runtimes:
                self._load(stream)
            return self._runtimes[stream]

    def _load(self, stream: str) -> None:
        network = load_network(self.record, stream, self.file(stream))
        classifier = network.classifier()  # type: ignore[operator]  # see FeatureNetwork
        if classifier is not None:
            weight, bias = classifier
            self._classifiers[stream] = (weight.numpy().copy(), bias.numpy().copy())
        side = self.record.crop
        shape = (CHANNELS[stream], self.record.length, side, side)
        self._runtimes[stream] = self._prepare(network, shape)


def load_backbone(
    name: str = "i3d",
    streams: Sequence[str] = STREAMS,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
    length: int | None = None,
    precision: str = "float32",
) -> Backbone:
    """Make a backbone ready; weights are fetched and loaded at the first use of their stream.

    Args:
        name: a name of ``BACKBONES``.
        streams: streams that will be used.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        runtime: ``torch``; on a CPU ``winograd`` (Inception-I3D) or ``openvino`` (extra ``[cpu]``);
            or ``auto``: torch, but on a CPU what computes this network fastest
            (`BackboneRecord.on_cpu`). All compute in float32 on a CPU.
        threads: CPU threads; None leaves them as they are.
        length: frames of a clip instead of the record's; a longer clip's feature is the mean over
            its time, as in the published evaluation.
        precision: of the networks, float32 or one that a GPU has (`extract.inference.precision`).

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
    chosen = choose_runtime(runtime, device, record.on_cpu)
    check_precision(precision, chosen.device)
    return Backbone(
        record,
        streams,
        functools.partial(
            make_runtime,
            choice=chosen,
            frames=record.frames,
            step=record.step,
            threads=threads,
            precision=precision,
        ),
        chosen,
        precision,
    )
