"""Which videos a training step takes, a function of seed and step alone."""

import numpy as np

from basnet_e2e.heads.settings import Training


def choose_videos(videos: int, step: int, seed: int, training: Training) -> list[int]:
    """Videos of one step, counted from 0: no video twice while there are enough."""
    size = min(training.batch, videos)
    if training.batches == "independent":
        order = np.random.default_rng([seed, 2, step]).permutation(videos)
        return [int(index) for index in order[:size]]
    # Shuffled epochs one behind the other; a batch may reach into the next epoch.
    places = range(step * size, (step + 1) * size)
    epochs = {
        epoch: np.random.default_rng([seed, 2, epoch]).permutation(videos)
        for epoch in {place // videos for place in places}
    }
    return [int(epochs[place // videos][place % videos]) for place in places]
