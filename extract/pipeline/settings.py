"""Settings of extraction: those a user chooses, and those a feature file records."""

import logging
from collections.abc import Callable, Mapping
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
    from weights.weights_file import WeightsFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractSettings:
    """What a user may choose; everything else follows from the backbone.

    Attributes:
        backbone: name of the network, see ``extract.inference.backbone``.
        streams: rgb, flow or both.
        flow: name of the flow method, see ``extract.flow.registry``.
        fps: grid frames per second, exact (``25``, ``30000/1001``); default: the backbone's.
        stride: grid frames from one snippet's start to the next one's.
        quantize: ``uint8`` maps flow to 256 levels as in the training of the published networks;
            ``none`` keeps real values.
        precision: of networks on a GPU, see ``extract.inference.precision``.
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
            flow: settings of the flow method; None without the flow stream.
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
        stall: seconds without a new frame after which the decoder, in a process of its own, is
            killed. None decodes in this process.
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
    from weights.registry import resolve

    if settings.precision != ExtractSettings.precision:
        check_precision(settings.precision, choose_device(device))
    spec = backbone_spec(settings.backbone)
    unknown, weights = [], {}
    for stream in settings.streams:
        found = _hash_of(f"{stream} weights of {spec.name}", spec.weights, stream)
        weights[stream] = found or ""
        unknown += [] if found else [f"weights.{stream}"]
    flow = None
    if "flow" in settings.streams:
        missing = settings.flow == "raft" and not _hash_of(
            "weights of raft", resolve, "raft", "flow"
        )
        if missing:
            flow = {"method": settings.flow}
            unknown += ["flow.weights", "flow.updates"]
        else:
            method = flow_method(settings.flow, device=device, overrides=spec.flow_overrides)
            flow = method.settings()
    return settings.recorded(spec, weights, flow), tuple(unknown)


def _hash_of(name: str, weights: Callable[..., "WeightsFile"], *of: str) -> str | None:
    try:
        return weights(*of, offline=True).sha256
    except WeightsError:
        log.info("the %s are not here yet; extraction fetches them", name)
        return None
