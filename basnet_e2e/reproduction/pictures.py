"""The two pictures of a reproduction: mAP against tIoU, and one video over time."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.video_names import unknown_message
from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.intervals import Localization
from basnet_e2e.report.figures.canvas import save
from basnet_e2e.report.figures.map_curves import MapCurve, map_curves
from basnet_e2e.report.figures.model_view import apply_model
from basnet_e2e.report.figures.timeline import draw_timeline
from basnet_e2e.reproduction.published import Protocol
from basnet_e2e.reproduction.tables import Outcomes, title_of


def draw_curves(
    path: Path,
    title: str,
    subtitle: str,
    protocol: Protocol,
    outcomes: Outcomes,
    published: Mapping[str, Sequence[float]] | None = None,
) -> list[Path]:
    """Draw mAP against tIoU of all recipes or heads, with the range over seeds.

    Args:
        path: of the picture, without suffix.
        title: headline.
        subtitle: line below it.
        protocol: names the thresholds.
        outcomes: recipe or head -> runs.
        published: recipe -> mAP in percent at ``protocol.shown``, then the average, to draw too.
    """
    ours = {}
    for name, runs in outcomes.items():
        values = 100 * np.array([run.last.map for run in runs])
        band = (values.min(0).tolist(), values.max(0).tolist()) if len(runs) > 1 else (None, None)
        ours[title_of(name)] = MapCurve(protocol.tious, values.mean(0).tolist(), *band)
    theirs = {
        title_of(name): MapCurve(protocol.shown, figures[:-1])
        for name, figures in (published or {}).items()
        if name in outcomes
    }
    return save(map_curves(ours, theirs, title, subtitle), path)


def draw_video(
    path: Path,
    model: HeadModel,
    videos: Sequence[VideoFeatures],
    truth: GroundTruth,
    wanted: str | None = None,
) -> tuple[list[Path], str]:
    """Draw one test video of median quality, neither a chosen success nor a chosen failure.

    Args:
        path: of the picture, without suffix.
        model: whose activations are drawn.
        videos: test videos.
        truth: their intervals.
        wanted: id of a video to draw instead, see :func:`check_video`.

    Returns:
        The files, and the id of the video.
    """
    by_id = {video.id: video for video in videos}
    if wanted is None:
        quality = {
            name: mean_best_iou(truth, apply_model(model, video).result)
            for name, video in by_id.items()
            if truth.videos[name]
        }
        ranked = sorted(quality, key=lambda name: (quality[name], name))
        chosen = ranked[len(ranked) // 2]
    else:
        chosen = wanted
    view = apply_model(model, by_id[chosen])
    return save(draw_timeline(view, truth.videos[chosen]), path), chosen


def check_video(videos: Sequence[VideoFeatures], wanted: str) -> None:
    """Refuse a name that no test video has.

    Raises:
        BasnetError: there is no such video.
    """
    ids = [video.id for video in videos]
    if wanted not in ids:
        raise BasnetError(f"no test video is called {unknown_message([wanted], ids)}")


def mean_best_iou(truth: GroundTruth, result: Localization) -> float:
    """Mean over a video's actions of the best temporal IoU of a detection of their class."""
    best = [
        max((one.iou(found) for found in result.intervals if found.label == one.label), default=0.0)
        for one in truth.videos[result.video]
    ]
    return statistics.fmean(best) if best else 0.0
