"""What a user chooses about extraction, and the settings that a feature file records of it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from extract.features.metadata import FORMAT_VERSION
from extract.features.settings import UNSTATED
from extract.streams import STREAMS
from extract.video.isolation.isolated_clip import STALL
from weights.errors import WeightsError

if TYPE_CHECKING:
    from extract.backbones.spec import BackboneSpec

log = logging.getLogger(__name__)
FLOW_NETWORKS = ("raft",)


@dataclass(frozen=True)
class ExtractSettings:
    """What a user may choose about features; everything else follows from the backbone.

    Attributes:
        backbone: name of the network, see ``extract.inference.backbone``.
        streams: rgb, flow or both.
        flow: name of the flow method, see ``extract.flow.registry``.
        fps: grid frames per second, exact (``25``, ``30000/1001``); None takes the backbone's.
        stride: grid frames from one snippet's start to the next one's.
        quantize: ``uint8`` maps flow to 256 levels as the published networks saw it; ``none`` keeps
            real values.
        precision: how exactly a GPU multiplies in networks, see ``extract.inference.precision``.
    """

    backbone: str = "i3d"
    streams: tuple[str, ...] = STREAMS
    flow: str = "tvl1"
    fps: Fraction | None = None
    stride: int = 16
    quantize: str = "uint8"
    precision: str = UNSTATED["precision"]

    @classmethod
    def from_file(cls, settings: Mapping[str, Any]) -> "ExtractSettings":
        """The choices that made a feature file, from its recorded settings."""
        flow = settings.get("flow") or {}
        return cls(
            backbone=settings["backbone"],
            streams=tuple(settings["streams"]),
            flow=flow.get("method", "tvl1"),
            fps=Fraction(settings["fps"]),
            stride=int(settings["stride"]),
            quantize=settings.get("quantize") or "uint8",
            precision=settings.get("precision", UNSTATED["precision"]),
        )

    def recorded(
        self, spec: "BackboneSpec", weights: dict[str, str], flow: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The settings that a feature file records.

        Args:
            spec: the backbone's.
            weights: hash of the weights of each stream.
            flow: settings of the flow method where flow is computed.
        """
        return {
            "format": FORMAT_VERSION,
            "fps": str(self.fps or spec.fps),
            "length": spec.length,
            "stride": self.stride,
            "backbone": spec.name,
            "streams": list(self.streams),
            "weights": weights,
            "flow": flow,
            "quantize": self.quantize if flow else None,
            "resize": spec.frame_side,
            "crop": spec.crop,
            "precision": self.precision,
            "dtype": "float32",
        }


@dataclass(frozen=True)
class DecodeOptions:
    """How videos are decoded.

    Attributes:
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: use a damaged video up to the damage instead of refusing it.
        stall: seconds without a new frame after which a decoder counts as hung and is killed; it
            works in a process of its own. None decodes in this process, where nothing can kill it.
    """

    decoder: str = "auto"
    keep_partial: bool = False
    stall: float | None = STALL


def expected_settings(
    settings: ExtractSettings, device: str = "auto"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a feature file would record, as far as it is known without fetching weights.

    Args:
        settings: what a user chose.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.

    Returns:
        The settings, and the names of those that are not known.

    Raises:
        ExtractError: an unknown backbone or flow method, or a precision that the device lacks.
    """
    from extract.backbones.registry import backbone_spec
    from extract.flow.registry import flow_method
    from extract.inference.precision import check_precision
    from extract.machine.devices import choose_device

    if settings.precision != ExtractSettings.precision:
        check_precision(settings.precision, choose_device(device))
    spec = backbone_spec(settings.backbone)
    unknown, weights = [], {}
    for stream in settings.streams:
        found = _hash_of(spec.name, stream, spec.model)
        weights[stream] = found or ""
        unknown += [] if found else [f"weights.{stream}"]
    flow = None
    if "flow" in settings.streams:
        if settings.flow in FLOW_NETWORKS and _hash_of(settings.flow, "flow") is None:
            flow = {"method": settings.flow}
            unknown += ["flow.weights", "flow.updates"]
        else:
            method = flow_method(settings.flow, device=device, overrides=spec.flow_overrides)
            flow = method.settings()
    return settings.recorded(spec, weights, flow), tuple(unknown)


def _hash_of(name: str, stream: str, model: str | None = None) -> str | None:
    from weights.registry import resolve, resolve_model

    try:
        if model is not None:
            return resolve_model(model, offline=True).sha256
        return resolve(name, stream, offline=True).sha256
    except WeightsError:
        log.info("the %s weights of %s are not here yet; extraction fetches them", stream, name)
        return None
