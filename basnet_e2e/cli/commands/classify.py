"""`basnet classify`: the actions of whole videos, to check weights by eye."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import (
    PathOrUrl,
    StreamList,
    check_kept_features,
    decoding_options,
    device_option,
    feature_store_options,
    message_options,
    offline_option,
    precision_option,
)
from basnet_e2e.cli.terminal.progress import ProgressBar
from basnet_e2e.localization.video_failures import failure_message

if TYPE_CHECKING:
    from extract.jobs.store import FeatureStore
    from extract.pipeline.extractor import Extractor
    from extract.pipeline.settings import DecodeOptions
    from extract.sources.find import VideoInput
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


@click.command(cls=SectionedCommand, epilog="Example: basnet classify video.mp4 --top 5")
@click.argument("videos", nargs=-1, required=True, type=PathOrUrl())
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes.")
@click.option(
    "--backbone", default="i3d", show_default=True, help="Network with a published classifier."
)
@click.option("--streams", type=StreamList(), default="rgb", show_default=True, help="Streams.")
@decoding_options
@feature_store_options
@precision_option("float32")
@device_option
@offline_option
@message_options
def classify(
    videos: "tuple[Path | Url, ...]",
    top: int,
    backbone: str,
    streams: tuple[str, ...],
    device: str,
    precision: str,
    decoder: str,
    keep_partial: bool,
    stall: float,
    features_folder: Path | None,
    no_cache: bool,
) -> None:
    """Print the most likely classes of each video, with their probabilities.

    The network sees clips of the length that its classifier was trained on (I3D: 64 frames, not the
    16 of a snippet). Logits are averaged over the time of a video and added over streams, as in the
    published two-stream network.
    """
    from extract.jobs.store import choose_store
    from extract.pipeline.settings import DecodeOptions
    from extract.sources.find import find_videos

    store = choose_store(features_folder, no_cache)
    inputs = find_videos(videos)
    if features_folder is not None:
        check_kept_features(features_folder, inputs, videos, force=False)
    decoding = DecodeOptions(decoder, keep_partial, stall)
    extractor = _extractor(backbone, streams, device, precision, decoding)
    failed = False
    with ProgressBar("classify", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        for video in inputs:
            bar.restart(video.id)
            try:
                ranked = _rank(extractor, store, video, bar)
            except Exception as error:
                log.error("%s", failure_message(error, video.path, alone=len(inputs) == 1))
                failed = True
                continue
            click.echo(video.file)
            for name, probability in ranked[:top]:
                click.echo(f"  {probability:6.3f}  {name}")
    if failed:
        raise click.exceptions.Exit(1)


def _extractor(
    name: str, streams: tuple[str, ...], device: str, precision: str, decoding: "DecodeOptions"
) -> "Extractor":
    """Clips of the classifier's own length, side by side."""
    from extract.backbones.registry import backbone_spec
    from extract.inference.backbone import load_backbone
    from extract.machine.device_check import checked_device
    from extract.pipeline.device_samples import SAMPLES
    from extract.pipeline.extractor import Extractor
    from extract.pipeline.settings import ExtractSettings

    device = checked_device(device, SAMPLES)
    length = backbone_spec(name).classifier_length
    backbone = load_backbone(name, streams, device=device, length=length, precision=precision)
    stride = length or ExtractSettings.stride
    settings = ExtractSettings(name, streams=streams, stride=stride, precision=precision)
    return Extractor(settings, device=device, backbone=backbone, decoding=decoding)


def _rank(
    extractor: "Extractor", store: "FeatureStore", video: "VideoInput", bar: ProgressBar
) -> list[tuple[str, float]]:
    """Class names and probabilities, most likely first."""
    import numpy as np

    from basnet_e2e.heads.common.softmax import softmax

    features = store.features(video, extractor, on_progress=bar.update)
    if features.facts.get("partial"):
        log.warning("%s: %s", video.path, features.facts["partial"])
    backbone = extractor.backbone
    # The last clip may hold little of the video, the rest of it being one picture repeated.
    seconds = features.end - features.start
    logits = sum(
        np.average(backbone.classify(getattr(features, name), name), axis=0, weights=seconds)
        for name in features.streams
    )
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, kind="stable")
    return [(backbone.class_names[i], float(probabilities[i])) for i in order]
