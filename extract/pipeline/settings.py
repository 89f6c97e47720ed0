"""The settings an extraction would record, told without fetching weights."""

import logging
from typing import Any

from extract.backbones.registry import backbone_record
from extract.flow.registry import flow_method
from extract.inference.precision import check_precision
from extract.machine.devices import choose_device
from extract.pipeline.extractor import ExtractSettings, file_settings
from weights.errors import WeightsError
from weights.registry import resolve, resolve_model

log = logging.getLogger(__name__)
FLOW_NETWORKS = ("raft",)


def forecast_settings(
    choices: ExtractSettings, device: str = "auto"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``Extractor.settings`` as far as this machine can tell, and the names of what it cannot.

    Args:
        choices: what a user chose.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.

    Raises:
        ExtractError: an unknown backbone or flow method, or a precision that the device lacks.
    """
    if choices.precision != ExtractSettings.precision:
        check_precision(choices.precision, choose_device(device))
    record = backbone_record(choices.backbone)
    unknown, weights = [], {}
    for stream in choices.streams:
        found = _hash_of(record.name, stream, record.model)
        weights[stream] = found or ""
        unknown += [] if found else [f"weights.{stream}"]
    flow = None
    if "flow" in choices.streams:
        if choices.flow in FLOW_NETWORKS and _hash_of(choices.flow, "flow") is None:
            flow = {"method": choices.flow}
            unknown += ["flow.weights", "flow.updates"]
        else:
            method = flow_method(choices.flow, device=device, overrides=record.flow_overrides)
            flow = method.settings()
    return file_settings(choices, record, weights, flow), tuple(unknown)


def _hash_of(name: str, stream: str, model: str | None = None) -> str | None:
    try:
        if model is not None:
            return resolve_model(model, offline=True).sha256
        return resolve(name, stream, offline=True).sha256
    except WeightsError:
        log.info("the %s weights of %s are not here yet; extraction fetches them", stream, name)
        return None
