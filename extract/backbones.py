"""Backbones by name: networks that turn a clip of frames into one feature vector.

A backbone is one `BackboneRecord`; adding one is adding one entry to ``BACKBONES`` (and, for its
weights, one to ``weights/manifest.toml``). `load_backbone` makes it ready for inference.
"""

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError
from weights.keys import COUNTER
from weights.manifest import network as manifest_entry
from weights.registry import WeightsFile, resolve

if TYPE_CHECKING:
    from torch import Tensor, nn

    from extract.runtimes import Runtime

STREAMS = ("rgb", "flow")
CHANNELS = {"rgb": 3, "flow": 2}


class FeatureNetwork(Protocol):
    """What a backbone's network offers besides being a torch module."""

    def features(self, x: "Tensor") -> "Tensor":
        """Clips ``[B, C, T, H, W]`` to features ``[B, D]``."""
        ...

    def classifier(self) -> "tuple[Tensor, Tensor]":
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer on the features."""
        ...


@dataclass(frozen=True)
class BackboneRecord:
    """One named backbone.

    Attributes:
        name: what users call it.
        streams: streams that it has, of rgb and flow.
        frame_side: short side in pixels that frames are resized to.
        crop: side of the centre crop in pixels.
        length: frames on the grid that one snippet covers.
        dimension: length of a feature.
        build: (stream, classes) -> network with random weights and published tensor names.
        frames: frames of the snippet that the network sees, spread evenly; None for all.
        mean: subtracted from colours in [0, 1].
        deviation: colours are divided by it afterwards.
        flow_overrides: parameters of TV-L1 that differ from its defaults.
        classifier_length: frames of the clips that its classifier was trained on, where they are
            more than a snippet's.
    """

    name: str
    streams: tuple[str, ...]
    frame_side: int
    crop: int
    length: int
    dimension: int
    build: "Callable[[str, int], nn.Module]"
    frames: int | None = None
    mean: float = 0.5
    deviation: float = 0.5
    flow_overrides: Mapping[str, Any] = field(default_factory=dict)
    classifier_length: int | None = None

    def scale_rgb(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Colours 0..255 of any shape to what the network was trained on (I3D: [-1, 1])."""
        scale, shift = 1 / (255 * self.deviation), self.mean / self.deviation
        return np.asarray(pictures * np.float32(scale) - np.float32(shift), dtype=np.float32)


def _inception(stream: str, classes: int) -> "nn.Module":
    from extract.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes)


def _inception_mini(stream: str, classes: int) -> "nn.Module":
    from extract.i3d import InceptionI3D

    return InceptionI3D(CHANNELS[stream], classes, width=0.25, pool="whole")


def _zoo(name: str) -> "Callable[[str, int], nn.Module]":
    def build(stream: str, classes: int) -> "nn.Module":
        from extract.zoo import ZooNetwork

        return ZooNetwork(name)

    return build


_I3D = BackboneRecord("i3d", STREAMS, 256, 224, 16, 1024, _inception, classifier_length=64)
_SLOW = BackboneRecord(
    "slow_r50", ("rgb",), 256, 256, 64, 2048, _zoo("slow_r50"), 8, mean=0.45, deviation=0.225
)

BACKBONES: dict[str, BackboneRecord] = {
    record.name: record
    for record in (
        _I3D,
        replace(_I3D, name="i3d-scratch"),
        replace(_I3D, name="i3d-k600", streams=("rgb",)),
        replace(_I3D, name="i3d-charades"),
        BackboneRecord(
            name="i3d-mini",
            streams=STREAMS,
            frame_side=72,
            crop=64,
            length=16,
            dimension=256,
            build=_inception_mini,
            flow_overrides={"scales": 4, "warps": 3, "iterations": 30},
        ),
        _SLOW,
        replace(_SLOW, name="i3d_r50", build=_zoo("i3d_r50")),
        replace(_SLOW, name="x3d_m", length=80, frames=16, build=_zoo("x3d_m")),
    )
}


def backbone_record(name: str) -> BackboneRecord:
    """The record of a backbone.

    Raises:
        ExtractError: there is none; the message names the nearest or those that there are.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(name, BACKBONES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(BACKBONES)}"
    raise ExtractError(f"no backbone '{name}'; {hint}")


def load_network(record: BackboneRecord, stream: str, file: WeightsFile) -> "nn.Module":
    """The plain network of a stream with its weights, in inference mode, nothing folded.

    Raises:
        ExtractError: the weights are those of another network.
    """
    import torch

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
    return manifest_entry(record.name, stream).labels()


class Backbone:
    """A backbone ready for inference; the weights of a stream are loaded at its first use.

    Attributes:
        record: what it is.
        streams: the streams asked for.
    """

    def __init__(
        self,
        record: BackboneRecord,
        streams: Sequence[str],
        make_runtime: "Callable[[nn.Module, tuple[int, ...]], Runtime]",
        runtime: str,
    ) -> None:
        self.record = record
        self.streams = tuple(streams)
        self.runtime = runtime
        self._make_runtime = make_runtime
        self._files: dict[str, WeightsFile] = {}
        self._runtimes: dict[str, Runtime] = {}
        self._classifiers: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

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
            self._files[stream] = resolve(self.record.name, stream)
        return self._files[stream]

    def weights_hashes(self) -> dict[str, str]:
        """Hash of each stream's weights by value, equal whatever file they came from.

        Raises:
            WeightsError: the weights of a stream are not here and cannot be had.
        """
        return {stream: self.file(stream).sha256 for stream in self.streams}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classifier's classes in the order of its logits."""
        return class_names(self.record, self.streams[0], self.file(self.streams[0]))

    def rgb(self, clip: "NDArray[np.float32] | Tensor") -> "Any":
        """Features of picture clips ``[B, 3, length, crop, crop]``: ``[B, D] float32``.

        Colours are scaled as `BackboneRecord.scale_rgb` does (I3D: [-1, 1]). A torch tensor gives a
        torch tensor, an array an array.
        """
        return self._features("rgb", clip)

    def flow(self, clip: "NDArray[np.float32] | Tensor") -> "Any":
        """Features of flow clips ``[B, 2, length, crop, crop]`` in [-1, 1]: ``[B, D] float32``."""
        return self._features("flow", clip)

    def classify(self, features: NDArray[np.float32], stream: str) -> NDArray[np.float32]:
        """The published classifier on cached features ``[T, D]``: logits ``[T, classes]``."""
        if stream not in self._classifiers:
            self._load(stream)
        weight, bias = self._classifiers[stream]
        return np.asarray(features, dtype=np.float32) @ weight.T + bias

    def _features(self, stream: str, clip: "NDArray[np.float32] | Tensor") -> "Any":
        import torch

        side = self.record.crop
        expected = (CHANNELS[stream], self.record.length, side, side)
        if clip.ndim != 5 or tuple(clip.shape[1:]) != expected:
            raise ExtractError(
                f"{self.record.name} {stream} takes clips [B, {', '.join(map(str, expected))}], "
                f"got {list(clip.shape)}"
            )
        if stream not in self._runtimes:
            self._load(stream)
        run = self._runtimes[stream].run
        if isinstance(clip, torch.Tensor):
            rows = run(clip.detach().to("cpu", torch.float32).numpy())
            return torch.from_numpy(rows).to(clip.device)
        return run(np.asarray(clip, dtype=np.float32))

    def load(self, streams: Sequence[str]) -> None:
        """Load the networks of streams before their first clips.

        Raises:
            ExtractError: a stream was not asked for, or the weights are those of another network.
            WeightsError: its weights are not here and cannot be had.
        """
        for stream in streams:
            if stream not in self._runtimes:
                self._load(stream)

    def unload(self) -> None:
        """Forget the networks; the next clips load them for the threads that there are then."""
        self._runtimes.clear()

    def _load(self, stream: str) -> None:
        network = load_network(self.record, stream, self.file(stream))
        weight, bias = network.classifier()  # type: ignore[operator]  # see FeatureNetwork
        self._classifiers[stream] = (weight.numpy().copy(), bias.numpy().copy())
        side = self.record.crop
        shape = (CHANNELS[stream], self.record.length, side, side)
        self._runtimes[stream] = self._make_runtime(network, shape)


def load_backbone(
    name: str = "i3d",
    streams: Sequence[str] = STREAMS,
    device: str = "auto",
    runtime: str = "auto",
    threads: int | None = None,
    length: int | None = None,
) -> Backbone:
    """Make a backbone ready; weights are fetched and loaded at the first use of their stream.

    Args:
        name: a name of ``BACKBONES``.
        streams: streams that will be used.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        runtime: ``torch``, ``openvino`` (CPU only, extra ``[cpu]``) or ``auto``: openvino on a CPU
            where it is installed, else torch. Both compute in float32.
        threads: CPU threads; None leaves them as they are.
        length: frames of a clip instead of the record's; a longer clip's feature is the mean over
            its time, as in the published evaluation.

    Raises:
        ExtractError: an unknown backbone, stream, device or runtime.
    """
    from extract.runtimes import choose_runtime, make_runtime

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
    chosen = choose_runtime(runtime, device)
    return Backbone(
        record,
        streams,
        functools.partial(make_runtime, choice=chosen, frames=record.frames, threads=threads),
        chosen.describe(),
    )
