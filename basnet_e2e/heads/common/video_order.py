"""The videos of each training step, a function of seed and step alone."""

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.heads.common.settings import TrainingSettings


def choose_videos(
    labels: NDArray[np.float32], step: int, seed: int, training: TrainingSettings
) -> list[int]:
    """Videos of one step.

    Args:
        labels: multi-hot ``[videos, C]``; a row of zeros is a video of background alone.
        step: counted from 0.
        seed: of the run.
        training: ``batch`` and ``batches``. A video occurs twice in a step only if its class is to
            be drawn more often than it has videos.
    """
    videos = len(labels)
    size = min(training.batch, videos)
    if training.batches == "independent":
        order = np.random.default_rng([seed, 2, step]).permutation(videos)
        return [int(index) for index in order[:size]]
    places = range(step * size, (step + 1) * size)
    if training.batches == "balanced":
        groups = _groups(labels)
        return [_balanced(groups, place, seed) for place in places]
    # Shuffled epochs one behind the other; a batch may reach into the next epoch.
    epochs = {
        epoch: np.random.default_rng([seed, 2, epoch]).permutation(videos)
        for epoch in {place // videos for place in places}
    }
    return [int(epochs[place // videos][place % videos]) for place in places]


def _groups(labels: NDArray[np.float32]) -> list[NDArray[np.intp]]:
    """Videos of each class, and those of background alone."""
    columns = np.column_stack([labels > 0, ~(labels > 0).any(axis=1)])
    return [np.flatnonzero(column) for column in columns.T if column.any()]


def _balanced(groups: list[NDArray[np.intp]], place: int, seed: int) -> int:
    """Video at one place of the order that takes each group once a round, in shuffled order.

    Each group goes through its own videos in shuffled epochs.
    """
    turn = place // len(groups)
    order = np.random.default_rng([seed, 2, turn]).permutation(len(groups))
    group = int(order[place % len(groups)])
    videos = groups[group]
    rng = np.random.default_rng([seed, 2, turn // len(videos), group])
    return int(videos[rng.permutation(len(videos))[turn % len(videos)]])
