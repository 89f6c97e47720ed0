"""Hold out training videos to measure how well their labels are recognised.

This is the only quality that can be measured without annotated intervals.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from basnet_e2e.data.annotations.label_matching import nothing_to_learn
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.ranking import Recognition, judged, recognition
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.localization.inference import apply_network

log = logging.getLogger(__name__)
FEWEST = 2  # a single video ranks right whatever its scores are


@dataclass(frozen=True)
class Holdout:
    """Videos that are not trained on.

    Attributes:
        share: of all videos that was asked for.
        data: the videos with their labels.
    """

    share: float
    data: LabelledSet

    def recognise(self, net: nn.Module, preset: Preset) -> Recognition:
        """How well a network in evaluation mode recognises the classes of these videos."""
        predictions = [apply_network(net, preset, video).prediction for video in self.data.videos]
        scores = np.stack([one.video_scores for one in predictions])
        return recognition(self.data.targets() > 0, scores)


def hold_out(data: LabelledSet, share: float, seed: int) -> tuple[LabelledSet, Holdout]:
    """Split videos into those to train on and those held out, a function of the arguments alone.

    About the same share of each class, and of the videos without labels, is held out, but never the
    last video of a class.

    Args:
        data: all videos with labels.
        share: within (0, 1).
        seed: of the split.

    Raises:
        BasnetError: too few videos to train on or to judge by.
    """
    if not 0 < share < 1:
        raise BasnetError(f"the share of videos held out is between 0 and 1, not {share:g}")
    chosen = stratified(data.targets() > 0, round(share * len(data.videos)), seed)
    held = data.subset(chosen)
    rest = data.subset(sorted(set(range(len(data.videos))) - set(chosen)))
    if len(held.videos) < FEWEST or not len(judged(held.targets() > 0)):
        raise BasnetError(
            f"holding out {share:g} of {counted(len(data.videos), 'video')} leaves "
            f"{counted(len(held.videos), 'video')} to judge by, too few to tell a class by (each "
            "class keeps a video to train on); hold out more, or give more videos a class"
        )
    problem = nothing_to_learn(rest.labels)
    if problem is not None:
        raise BasnetError(f"with {share:g} of the videos held out {problem}; hold out fewer")
    return rest, Holdout(share, held)


def report(found: Recognition) -> None:
    """Log how well the held-out videos are recognised, and whether that may be chance."""
    log.info(
        "%s held out: mean average precision of their labels %.1f %% over %s (chance: %.1f %%)",
        counted(found.videos, "video"),
        100 * found.map,
        counted(found.classes, "class"),
        100 * found.chance,
    )
    if found.near_chance:
        log.warning(
            "the labels of the held-out videos are recognised near chance: of 20 random orders one "
            "reaches %.1f %%; train on more videos or for more steps, or hold out more to tell",
            100 * found.luck,
        )


def stratified(targets: NDArray[np.bool_], count: int, seed: int) -> list[int]:
    """Rows to hold out, ascending: about the same share of every label.

    The next row is taken from the label that lacks most of its share, and among its rows the one
    whose labels lack most together, but never the last row of any label.

    Args:
        targets: ``[n, C]`` which labels each row has; having none counts as a label.
        count: number of rows; fewer if the labels have too few.
        seed: of the choice among equals.
    """
    targets = np.column_stack([targets, ~targets.any(axis=1)])
    rows = np.random.default_rng([seed, 3]).permutation(len(targets))
    targets = targets[rows]
    left = targets.sum(axis=0)
    lacking = left * (count / max(len(targets), 1))
    free = np.ones(len(targets), bool)
    chosen: list[int] = []
    while len(chosen) < count:
        open_ = free & ~targets[:, left <= 1].any(axis=1)
        if not open_.any():
            break
        label = np.where(targets[open_].any(axis=0), lacking, -np.inf).argmax()
        candidates = np.flatnonzero(open_ & targets[:, label])
        row = candidates[(targets[candidates] @ lacking).argmax()]
        free[row] = False
        left -= targets[row]
        lacking -= targets[row]
        chosen.append(int(rows[row]))
    return sorted(chosen)
