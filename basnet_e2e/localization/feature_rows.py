"""A feature file's rows as heads read them, at the stride they were trained on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from basnet_e2e.data.features.dataset import VideoFeatures
from extract.features.feature_file import Features


def as_rows(features: Features, video_id: str, streams: tuple[str, ...]) -> VideoFeatures:
    """A feature file's content as the head reads it: streams side by side, times, duration."""
    return VideoFeatures(
        id=video_id,
        x=features.matrix(streams),
        start=features.start,
        end=features.end,
        duration=features.duration,
        settings=features.settings,
    )


def strides_between(trained: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    """How many strides of some features make one of those a model learnt from; 1 if none do."""
    coarse, fine = trained.get("stride"), found.get("stride")
    if not coarse or not fine or coarse % fine:
        return 1
    return int(coarse // fine)


def thinned(video: VideoFeatures, step: int) -> VideoFeatures:
    """Every ``step``-th row."""
    if step == 1:
        return video
    rows = slice(None, None, step)
    return replace(video, x=video.x[rows], start=video.start[rows], end=video.end[rows])
