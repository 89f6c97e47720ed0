"""The rows of a feature file as heads read them, at the stride they were trained on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from basnet_e2e.data.features.dataset import VideoFeatures
from extract.features.feature_file import Features


def as_rows(features: Features, video_id: str, streams: tuple[str, ...]) -> VideoFeatures:
    """The rows of a feature file with its streams side by side."""
    return VideoFeatures(
        id=video_id,
        x=features.matrix(streams),
        start=features.start,
        end=features.end,
        duration=features.duration,
        settings=features.settings,
    )


def strides_between(trained: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    """How many strides of the found features make one of the trained ones; 1 if none do."""
    coarse, fine = trained.get("stride"), found.get("stride")
    if not coarse or not fine or coarse % fine:
        return 1
    return int(coarse // fine)


def every_nth_row(video: VideoFeatures, step: int) -> VideoFeatures:
    """Keep every ``step``-th row."""
    if step == 1:
        return video
    rows = slice(None, None, step)
    return replace(video, x=video.x[rows], start=video.start[rows], end=video.end[rows])
