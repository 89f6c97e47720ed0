"""`basnet classify`: the actions of whole videos, to check weights by eye."""

import logging
from pathlib import Path

import click
import numpy as np

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    COUNT,
    backbone_option,
    decoding_options,
    device_option,
    feature_store_options,
    offline_option,
    open_store,
    precision_option,
    streams_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.heads.common.softmax import softmax
from basnet_e2e.localization.video_failures import failure_message
from extract.backbones.registry import backbone_spec
from extract.features.feature_file import Features
from extract.inference.backbone import Backbone, load_backbone
from extract.machine.device_check import checked_device
from extract.pipeline.device_samples import SAMPLES
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.sources.find import find_videos
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)


@command("basnet classify video.mp4 --top 5")
@click.argument("videos", nargs=-1, required=True, type=path_or_url)
@click.option("--top", type=COUNT, default=5, show_default=True, help="Classes to print.")
@backbone_option("Network with a published classifier", default="i3d", show_default=True)
@streams_option(default="rgb", show_default=True)
@decoding_options
@feature_store_options
@precision_option("float32")
@device_option
@offline_option
def classify(
    videos: tuple[Path | Url, ...],
    top: int,
    backbone: str,
    streams: tuple[str, ...],
    device: str,
    precision: str,
    decoding: DecodeOptions,
    features_folder: Path | None,
    no_cache: bool,
) -> None:
    """Print the most likely classes of each video, with their probabilities.

    The network sees clips of the length that its classifier was trained on (I3D: 64 frames, not the
    16 of a snippet). Logits are averaged over the time of a video and added over streams, as in the
    published two-stream network.
    """
    inputs = find_videos(videos)
    store = open_store(features_folder, no_cache, inputs, videos)
    device = checked_device(device, SAMPLES)
    # Clips of the classifier's own length, side by side.
    length = backbone_spec(backbone).classifier_length
    network = load_backbone(backbone, streams, device=device, length=length, precision=precision)
    stride = length or ExtractSettings.stride
    settings = ExtractSettings(backbone, streams=streams, stride=stride, precision=precision)
    extractor = Extractor(settings, device=device, backbone=network, decoding=decoding)
    failed = False
    with StepProgress("classify") as bar:
        for video in inputs:
            bar.begin(video.id)
            try:
                features = store.features(video, extractor, on_progress=bar.update)
                if features.facts.get("partial"):
                    log.warning("%s: %s", video.path, features.facts["partial"])
                ranked = _rank(features, network)
            except Exception as error:
                log.error("%s", failure_message(error, video.path, alone=len(inputs) == 1))
                failed = True
                continue
            click.echo(video.file)
            for name, probability in ranked[:top]:
                click.echo(f"  {probability:6.3f}  {name}")
    if failed:
        raise click.exceptions.Exit(1)


def _rank(features: Features, backbone: Backbone) -> list[tuple[str, float]]:
    """Class names and probabilities, most likely first."""
    # The last clip may hold little of the video and repeat its last picture.
    seconds = features.end - features.start
    logits = sum(
        np.average(backbone.classify(getattr(features, name), name), axis=0, weights=seconds)
        for name in features.streams
    )
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, kind="stable")
    return [(backbone.class_names[i], float(probabilities[i])) for i in order]
