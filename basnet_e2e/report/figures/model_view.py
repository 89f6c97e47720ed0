"""What a model sees in one video, as figures show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.intervals import Floats, Interval, Localization, keep_best
from basnet_e2e.localization.inference import activations, localization_of
from basnet_e2e.report.evidence import LEVELS, Evidence


@dataclass(frozen=True)
class ModelView:
    """What a model sees in one video.

    Attributes:
        result: the intervals that a person would be shown, and the scores of the video.
        classes: names of the columns of ``cas``.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the rows' values sit.
        cas: ``[n, len(classes)]`` activation, as intervals are cut from it.
        foreground: ``[n]`` foreground weights in [0, 1]; None where the model has none.
    """

    result: Localization
    classes: tuple[str, ...]
    edges: Floats
    centres: Floats
    cas: Floats
    foreground: Floats | None = None

    def curve(self, name: str) -> Floats:
        """Activation of a class ``[n]``, 0 where it is below."""
        return np.maximum(self.cas[:, self.classes.index(name)], 0)

    def order(self, truth: Sequence[Interval] = ()) -> list[str]:
        """Classes by weight: annotated ones, detected ones, the others by their score."""
        scores = self.result.classes
        rest = sorted(self.classes, key=lambda name: -scores.get(name, 0.0))
        shown = [each.label for each in [*truth, *self.result.intervals]]
        return [name for name in dict.fromkeys([*shown, *rest]) if name in self.classes]

    def curves(self, truth: Sequence[Interval] = ()) -> dict[str, Floats]:
        """Curves of annotated and detected classes; if there are none, of the likeliest class."""
        labels = dict.fromkeys(one.label for one in [*truth, *self.result.intervals])
        shown = [name for name in labels if name in self.classes] or self.order()[:1]
        return {name: self.curve(name) for name in shown}


def apply_model(model: HeadModel, video: VideoFeatures) -> ModelView:
    """Apply a model to the features of a video.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    found = activations(model, video)
    every = localization_of(found, model, video)
    best = replace(every, intervals=keep_best(every.intervals))
    return ModelView(best, model.classes, found.edges, found.centres, found.cas, found.foreground)


def recorded_view(result: Localization, evidence: Evidence) -> ModelView:
    """What a model saw when it localized a video, of the classes that were kept."""
    centres = evidence.centres.astype(np.float64)
    # Rows meet in the middle between their centres; the outer ones end with the video.
    edges = np.concatenate([[0.0], (centres[1:] + centres[:-1]) / 2, [evidence.duration]])
    weights = evidence.foreground
    return ModelView(
        replace(result, intervals=keep_best(result.intervals)),
        evidence.classes,
        edges,
        centres,
        evidence.cas / LEVELS,
        None if weights is None else weights / LEVELS,
    )
