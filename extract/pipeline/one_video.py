"""The features of one video in one call."""

import os
from typing import TYPE_CHECKING

from extract.errors import ExtractError
from extract.features.feature_file import Features
from extract.pipeline.accumulator import Progress
from extract.pipeline.device_check import proven_device
from extract.pipeline.extractor import Extractor, ExtractSettings
from extract.streams import STREAMS

if TYPE_CHECKING:
    from extract.inference.backbone import Backbone


def extract_features(
    path: str | os.PathLike[str],
    backbone: "Backbone | None" = None,
    *,
    settings: ExtractSettings | None = None,
    device: str = "auto",
    decoder: str = "auto",
    keep_partial: bool = False,
    progress: Progress | None = None,
) -> Features:
    """Two-stream snippet features of one video.

    Args:
        path: the video file.
        backbone: a loaded backbone (``extract.load_backbone``); None loads the settings' one.
        settings: choices of extraction; without them the streams are the backbone's.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: keep what comes before a damaged place instead of refusing the video.
        progress: called with (snippets done, snippets in all).

    Returns:
        ``Features`` with ``rgb [T, D]``, ``flow [T, D]``, ``start [T]`` and ``end [T]``.

    Raises:
        VideoError: the file is no video or is damaged.
        ExtractError: a setting does not fit, or the GPU asked for computes wrongly.
        WeightsError: a stream's weights are not there.
    """
    if settings is None:
        streams = backbone.streams if backbone is not None else STREAMS
        name = backbone.record.name if backbone is not None else ExtractSettings.backbone
        precision = backbone.precision if backbone is not None else ExtractSettings.precision
        settings = ExtractSettings(backbone=name, streams=tuple(streams), precision=precision)
    elif backbone is not None and backbone.record.name != settings.backbone:
        raise ExtractError(
            f"the settings name the backbone {settings.backbone}, the one given is "
            f"{backbone.record.name}"
        )
    if backbone is not None:
        proven_device(backbone.device)
    extractor = Extractor(settings, device=device, backbone=backbone)
    return extractor.extract(path, decoder=decoder, keep_partial=keep_partial, progress=progress)
