"""Apply a network to the features of one video, and localize actions in its activations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.data.features.sampling import Rows, reading_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.decoding_rules import (
    DEFAULT_RULES,
    MIN_ACTIVATION,
    DecodingRules,
    Floats,
    Prediction,
    Proposals,
)
from basnet_e2e.heads.common.second_stage import SecondStage
from basnet_e2e.heads.common.settings import DecodingSettings, Preset
from basnet_e2e.heads.common.softmax import softmax
from basnet_e2e.heads.ensemble import predict, second_stages
from basnet_e2e.heads.registry import find_head
from basnet_e2e.intervals import Interval, Localization, by_score
from basnet_e2e.localization.proposals import Corrector, normalise, propose, smooth

# Lowest score that a result of the built-in model lists; most of its 400 classes are near 0.
LEAST_LISTED_SCORE = 0.01
# Decoding of the pretrained classifier of 400 actions: its softmax per snippet is the class
# activation sequence. Probabilities are not stretched to [0, 1], so thresholds go from .1, below
# which a snippet is background, to .9. No interval is shorter than the snippets it classifies.
KINETICS400 = DecodingSettings(
    normalise="none",
    theta_act=tuple(step / 10 for step in range(1, 10)),
    shortest=DecodingSettings().upsample,
)
# A class's score is the mean of its T // 8 highest probabilities, as in BaS-Net.
HIGHEST_SHARE = 8


@dataclass(frozen=True)
class Activations:
    """A network's output for a video, on the n rows it reads.

    Attributes:
        cas: ``[n, C]`` activation of the action classes, smoothed and normalised as the settings
            say; intervals are cut from it unless the head has a rule of its own.
        prediction: output of the network.
        rows: the rows and their times.
        second: corrects proposals by the second stage; None if the model has none.
    """

    cas: Floats
    prediction: Prediction
    rows: Rows
    second: Corrector | None = None

    @property
    def edges(self) -> Floats:
        """``[n + 1]`` seconds between rows."""
        return self.rows.edges

    @property
    def centres(self) -> Floats:
        """``[n]`` seconds at which the rows' values are placed."""
        return self.rows.centres

    @property
    def foreground(self) -> Floats | None:
        """``[n]`` foreground weights in [0, 1]; None if the head has none."""
        return self.prediction.foreground


def activations(model: HeadModel, video: VideoFeatures) -> Activations:
    """Activation sequence, foreground weights and class scores of a video.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    if video.x.shape[1] != model.shape.features:
        raise BasnetError(
            f"{video.id}: its features are {video.x.shape[1]} wide, the model was trained on "
            f"{model.shape.features}; extract the video with the model's streams and backbone, or "
            "train on features like these"
        )
    return apply_network(model.net, model.preset, video)


def apply_network(net: nn.Module, preset: Preset, video: VideoFeatures) -> Activations:
    """As :func:`activations`, for a network in evaluation mode."""
    training, decoding = preset.training, preset.decoding
    rows = reading_rows(video, decoding.centre, training.length, training.segments)
    prediction = predict(net, rows.x, preset)
    cas = normalise(smooth(prediction.cas, decoding.smooth), decoding)
    stages = second_stages(net)
    second = corrector(stages, prediction, rows.x, cas) if stages else None
    return Activations(cas, prediction, rows, second)


def corrector(
    stages: Sequence[SecondStage], prediction: Prediction, x: NDArray[np.float32], cas: Floats
) -> Corrector:
    """Correct a video's proposals by the mean of one or several second stages.

    Args:
        stages: at least one.
        prediction: of the network for the video.
        x: rows ``[n, F]``.
        cas: ``[n, C]`` activation that intervals are cut from.
    """
    curves_of = [stage.class_curves(prediction, x) for stage in stages]

    def corrected(index: int, found: Proposals) -> Proposals:
        each = [
            stage.correct(curves(index, cas[:, index]), found)
            for stage, curves in zip(stages, curves_of, strict=True)
        ]
        borders = ([getattr(one, name) for one in each] for name in ("start", "end", "score"))
        return Proposals(*(np.mean(border, axis=0) for border in borders))

    return corrected


def localize_features(model: HeadModel, video: VideoFeatures) -> Localization:
    """All proposals of a video after non-maximum suppression, highest score first.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    return localization_of(activations(model, video), model, video)


def localization_of(found: Activations, model: HeadModel, video: VideoFeatures) -> Localization:
    """As :func:`localize_features`, from the activations of the video."""
    rules = find_head(model.preset.head).rules
    result = _decode(found, model.preset.decoding, rules, model.classes, video, model.name)
    return replace(result, made=model.made(video.id))


def localize_network(
    net: nn.Module, preset: Preset, classes: Sequence[str], video: VideoFeatures
) -> Localization:
    """As :func:`localize_features`, for a network in evaluation mode."""
    found, rules = apply_network(net, preset, video), find_head(preset.head).rules
    return _decode(found, preset.decoding, rules, classes, video, "model")


def localize_pretrained(
    probabilities: Floats, video: VideoFeatures, classes: Sequence[str], name: str
) -> Localization:
    """Intervals from a classifier of snippets that was never trained to localize.

    Its softmax over classes on each snippet is the class activation sequence. The video score of a
    class is the mean of its ``max(1, T // 8)`` highest probabilities.

    Args:
        probabilities: ``[T, classes]``, each row a softmax or a part of one.
        video: the snippets' times and the duration; its features are not read.
        classes: names in the order of the columns.
        name: of the classifier, for the result.

    Raises:
        BasnetError: probabilities, snippets and classes do not fit together.
    """
    shape = (len(video.start), len(classes))
    if probabilities.shape != shape:
        raise BasnetError(
            f"{video.id}: probabilities {probabilities.shape} for {shape[0]} snippets and "
            f"{shape[1]} classes"
        )
    highest = max(1, len(probabilities) // HIGHEST_SHARE)
    cas = np.asarray(probabilities, np.float64)
    prediction = Prediction(cas, np.sort(cas, axis=0)[-highest:].mean(axis=0))
    found = Activations(cas, prediction, reading_rows(video, KINETICS400.centre))
    result = _decode(found, KINETICS400, DEFAULT_RULES, classes, video, name)
    listed = {
        label: score for label, score in result.classes.items() if score >= LEAST_LISTED_SCORE
    }
    return replace(result, classes=listed)


def _decode(
    found: Activations,
    decoding: DecodingSettings,
    rules: DecodingRules,
    classes: Sequence[str],
    video: VideoFeatures,
    name: str,
) -> Localization:
    scores = found.prediction.video_scores
    proposals = propose(
        found.prediction, found.edges, found.centres, decoding, video.duration, rules, found.second
    )
    intervals = [
        Interval(classes[index], float(start), float(end), float(score))
        for index, kept in proposals.items()
        for start, end, score in zip(kept.start, kept.end, kept.score, strict=True)
    ]
    return Localization(
        video=video.id,
        file=video.id,
        duration=video.duration,
        model=name,
        classes={
            classes[index]: float(scores[index]) for index in np.argsort(-scores, kind="stable")
        },
        intervals=by_score(intervals),
    )


def predict_background(
    found: Activations, video: VideoFeatures
) -> tuple[NDArray[np.bool_], Floats]:
    """Which snippets of a video are background.

    With foreground weights: those below .5. With a background class: those where it is the most
    active class (score: its softmax over classes). Otherwise: those where no class's normalised
    activation reaches .1.

    Returns:
        ``[T] bool``, and scores ``[T]``, higher for background.
    """
    raw = found.prediction.raw
    if found.foreground is not None:
        action = found.foreground
        predicted = action < 0.5
    elif raw.shape[1] > found.prediction.classes:
        action = 1 - softmax(raw)[:, -1]
        predicted = raw.argmax(axis=1) == raw.shape[1] - 1
    else:
        action = found.cas.max(axis=1)
        predicted = action < MIN_ACTIVATION
    centres = (video.start + video.end) / 2
    row = np.searchsorted(found.edges, centres, side="right") - 1
    row = np.clip(row, 0, len(action) - 1)
    return predicted[row], -action[row]
