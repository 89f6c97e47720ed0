"""How well scores rank videos: average precision with equal scores, compared with chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.intervals import Floats

Flags = NDArray[np.bool_]
DRAWS = 500  # random orders that a ranking is compared with
LUCKY = 95  # percentile of them that a ranking better than chance exceeds


def tied_average_precision(truth: Flags, score: Floats) -> Floats:
    """Area under the precision envelope over distinct thresholds.

    Args:
        truth: ``[..., n]``, true somewhere in each row.
        score: ``[n]``; equal scores count as one threshold, so their order does not matter.

    Returns:
        ``[...]`` in [0, 1].
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    hits = np.cumsum(truth[..., order], axis=-1)[..., last]
    precision = hits / (last + 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    rises = np.diff(hits, axis=-1, prepend=0)
    return np.asarray((envelope * rises).sum(axis=-1) / truth.sum(axis=-1))


@dataclass(frozen=True)
class Recognition:
    """How well the classes of videos are recognised.

    Attributes:
        videos: videos judged.
        classes: classes judged: those of some of the videos, but not of all.
        map: mean of their average precisions, in [0, 1].
        chance: mean over random orders of the videos.
        luck: mAP that one in twenty random orders reaches.
    """

    videos: int
    classes: int
    map: float
    chance: float
    luck: float

    @property
    def near_chance(self) -> bool:
        """Whether it cannot be distinguished from luck."""
        return self.map <= self.luck

    def to_json(self) -> dict[str, Any]:
        """Figures as one JSON object."""
        return dict(vars(self))


def judged(truth: Flags) -> NDArray[np.intp]:
    """Classes that can be ranked: some videos of ``[n, C]`` have them and some do not."""
    return np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))


def recognition(truth: Flags, scores: Floats) -> Recognition:
    """Evaluate video-level scores.

    Args:
        truth: ``[n, C]`` which classes occur in which video; at least one class can be ranked.
        scores: ``[n, C]``, higher is more confident.
    """
    count = len(truth)
    rng = np.random.default_rng(0)
    orders = np.stack([np.arange(count), *(rng.permutation(count) for _ in range(DRAWS))])
    columns = judged(truth)
    # Whole videos are permuted, so that classes that occur together still do.
    means = np.zeros(len(orders))
    for column in columns:
        means += tied_average_precision(truth[orders, column], scores[:, column])
    means /= len(columns)
    drawn = means[1:]
    return Recognition(
        count,
        len(columns),
        float(means[0]),
        float(drawn.mean()),
        float(np.percentile(drawn, LUCKY)),
    )
