"""The batch of a training step, a function of seed and step alone."""

import numpy as np
import torch
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.data.features.sampling import padded
from basnet_e2e.heads.common.head import Batch
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head


def draw_batch(
    data: LabelledSet, labels: NDArray[np.float32], preset: Preset, step: int, seed: int
) -> Batch:
    """Batch of one step as the head draws it.

    Args:
        data: training videos.
        labels: their multi-hot labels ``[videos, C]``.
        preset: names the head, with ``segments`` resolved.
        step: counted from 0.
        seed: of the run.
    """
    chosen = find_head(preset.head).choose(labels, step, seed, preset)
    rng = np.random.default_rng([seed, 1, step])
    return batch_of(data, labels, chosen, preset, rng, step)


def batch_of(
    data: LabelledSet,
    labels: NDArray[np.float32],
    chosen: list[int],
    preset: Preset,
    rng: np.random.Generator,
    step: int,
) -> Batch:
    """Batch of some videos, their rows drawn with ``rng``."""
    head = find_head(preset.head)
    x, counts = padded([head.sample(data.videos[index].x, preset, rng) for index in chosen])
    valid = torch.from_numpy(counts) if counts.min() < x.shape[1] else None
    return Batch(
        torch.from_numpy(x), valid, torch.from_numpy(labels[chosen]), step, preset.training.steps
    )
