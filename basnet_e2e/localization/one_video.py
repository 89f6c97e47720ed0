"""Action intervals of one video in one call."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.intervals import Localization, Selection
from basnet_e2e.localization.localizer import Localizer
from extract.features.feature_file import Features

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel


def localize(
    video_or_features: "str | os.PathLike[str] | Features | VideoFeatures",
    model: "HeadModel | str | os.PathLike[str] | None" = None,
    *,
    keep: str = "best",
    min_score: float | None = None,
    min_length: float = 0.0,
    streams: tuple[str, ...] | None = None,
    backbone: str | None = None,
    prompts: Sequence[str] = (),
    device: str = "auto",
    precision: str | None = None,
    decoder: str = "auto",
    keep_partial: bool = False,
    refine: bool = False,
) -> Localization:
    """Action intervals of one video.

    Args:
        video_or_features: a video file, a feature file (``.safetensors``) or loaded features.
        model: a trained model or its file; None uses the built-in ``kinetics400``.
        keep: ``best`` leaves no overlap within a class; ``all`` gives every proposal after
            non-maximum suppression.
        min_score: lowest score that is kept; default: 0.2 for ``best``, no limit for ``all``.
        min_length: shortest interval in seconds that is kept.
        streams: without a model: which streams classify.
        backbone: see ``Localizer``.
        prompts: without a model: texts to look for.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        precision: see ``Localizer``.
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: use a damaged video up to the damage instead of refusing it.
        refine: move borders to where the video changes; see ``Localizer``.

    Returns:
        A ``Localization`` whose intervals are in seconds of the original file.

    Raises:
        VideoError: the video is damaged or not a video.
        BasnetError: model and features do not fit, or several videos are given.
        WeightsError: the backbone's weights are missing.
    """
    selection = Selection(keep, min_score, min_length)
    localizer = Localizer(
        model,
        streams=streams,
        backbone=backbone,
        prompts=prompts,
        device=device,
        precision=precision,
        decoder=decoder,
        keep_partial=keep_partial,
        refine=refine,
    )
    return selection.of(localizer.localize(video_or_features))
