"""Videos and their known times as the batch of a training step."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from basnet_e2e.data.annotations.row_targets import RowTargets, row_targets
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.data.features.sampling import padded, row_edges
from basnet_e2e.heads.common.head import Batch
from basnet_e2e.heads.common.row_loss import RowBatch
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head

LEAST_TIMED = 0.5  # share of the videos above which single rows are learnt from


def known_in_most(data: LabelledSet, complete: bool = False) -> bool:
    """Whether times are known in more than half of the videos, or all times where asked."""
    known = [data.times[video.id] for video in data.videos if video.id in data.times]
    timed = sum(times.complete or not complete for times in known)
    return timed > LEAST_TIMED * len(data.videos)


def known_rows(data: LabelledSet, rows: str) -> dict[str, RowTargets]:
    """Row targets from the known times of a set, by video id.

    Empty if few videos have times: rows of few scenes teach these scenes, not the actions.

    Args:
        data: training videos.
        rows: the setting: videos with ``points`` alone, or ``all`` with known times.
    """
    if not known_in_most(data):
        return {}
    return {
        video.id: row_targets(data.times[video.id], row_edges(video, "centre"), data.classes)
        for video in data.videos
        if video.id in data.times and (rows == "all" or not data.times[video.id].complete)
    }


def row_places(rows: Mapping[str, RowTargets]) -> dict[str, float]:
    """Where each video lies among those with known rows, by id, in [0, 1).

    In the order of their ids, so that neighbours, which may show one scene, fall into one part.
    """
    return {name: index / len(rows) for index, name in enumerate(sorted(rows))}


def draw_batch(
    data: LabelledSet,
    labels: NDArray[np.float32],
    chosen: list[int],
    preset: Preset,
    rng: np.random.Generator,
    step: int,
    rows: Mapping[str, RowTargets] | None = None,
) -> Batch:
    """The chosen videos as a batch, their rows drawn with ``rng`` as the head does.

    Args:
        data: training videos.
        labels: their multi-hot labels ``[videos, C]``.
        chosen: indices of videos.
        preset: names the head, with ``segments`` resolved.
        rng: the only source of randomness.
        step: counted from 0.
        rows: what is known of rows, by video (:func:`known_rows`).
    """
    head = find_head(preset.head)
    videos = [data.videos[index] for index in chosen]
    # Targets are drawn with the rows they belong to, as columns beside the features.
    drawn = [
        np.hstack([video.x, _columns(video, rows, len(data.classes))]) if rows else video.x
        for video in videos
    ]
    x, counts = padded([head.sample(each, preset, rng) for each in drawn])
    known = None
    if rows:
        width = videos[0].x.shape[1]
        x, share, weight = np.split(x, [width, x.shape[2] - 1], axis=2)
        complete = [video.id not in rows or rows[video.id].complete for video in videos]
        places = row_places(rows)
        place = np.array([places.get(video.id, 0.0) for video in videos])
        parts = share, weight[..., 0], np.array(complete), place
        known = RowBatch(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
        x = np.ascontiguousarray(x)
    valid = torch.from_numpy(counts) if counts.min() < x.shape[1] else None
    targets = torch.from_numpy(labels[chosen])
    return Batch(torch.from_numpy(x), valid, targets, step, preset.training.steps, known)


def _columns(
    video: VideoFeatures, rows: Mapping[str, RowTargets], classes: int
) -> NDArray[np.float32]:
    """Share and weight of each row ``[T, C + 2]``, zeros where nothing is known."""
    if video.id not in rows:
        return np.zeros((len(video.x), classes + 2), np.float32)
    return np.column_stack([rows[video.id].share, rows[video.id].weight])
