"""A trained network applied to the features of one video."""

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

# Classes of the built-in model that a result names; the other hundreds are near zero.
LEAST_NAMED_SCORE = 0.01
# How the published classifier of 400 actions is read without any training: its per-snippet softmax
# is the class activation sequence, probabilities need no normalisation. They are above 0 everywhere
# and not stretched to [0, 1], so thresholds go from .1, below which a snippet is background, to .9;
# and what is shorter than a snippet is more than a classifier of whole snippets can tell.
KINETICS400 = DecodingSettings(
    normalise="none",
    theta_act=tuple(step / 10 for step in range(1, 10)),
    shortest=DecodingSettings().upsample,
)
# A class's score is the mean of its T // 8 highest probabilities, as BaS-Net's.
HIGHEST_SHARE = 8


@dataclass(frozen=True)
class Activations:
    """What a model sees in a video, on the n rows it reads.

    Attributes:
        cas: ``[n, C]`` activation of the action classes, smoothed and normalised as the settings
            say; intervals are cut from it unless the head has a rule of its own.
        prediction: of the network.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the rows' values sit.
        second: what the second stage makes of proposals; None where the model has none.
    """

    cas: Floats
    prediction: Prediction
    edges: Floats
    centres: Floats
    second: Corrector | None = None

    @property
    def foreground(self) -> Floats | None:
        """``[n]`` foreground weights in [0, 1]; None where the head has none."""
        return self.prediction.foreground


@dataclass(frozen=True)
class Background:
    """What a model takes for background, on the snippets of a video.

    Attributes:
        predicted: ``[T] bool``.
        score: ``[T]``, higher is surer of background.
    """

    predicted: NDArray[np.bool_]
    score: Floats


def activations(model: HeadModel, video: VideoFeatures) -> Activations:
    """Activation sequence, foreground weights and class scores of a video.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    _check_width(model, video)
    return read_network(model.net, model.preset, video)


def read_network(net: nn.Module, preset: Preset, video: VideoFeatures) -> Activations:
    """As :func:`activations`, of a network in evaluation mode."""
    training, decoding = preset.training, preset.decoding
    rows = reading_rows(video, decoding.centre, training.length, training.segments)
    prediction = predict(net, rows.x, preset)
    cas = normalise(smooth(prediction.cas, decoding.smooth), decoding)
    stages = second_stages(net)
    second = corrector(stages, prediction, rows.x, cas) if stages else None
    return Activations(cas, prediction, rows.edges, rows.centres, second)


def corrector(
    stages: Sequence[SecondStage], prediction: Prediction, x: NDArray[np.float32], cas: Floats
) -> Corrector:
    """What one or several second stages make of a video's proposals: the mean of their words.

    Args:
        stages: at least one.
        prediction: of the network for the video.
        x: rows ``[n, F]``.
        cas: ``[n, C]`` activation as it is cut.
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
    _check_width(model, video)
    found = localize_network(model.net, model.preset, model.classes, video, model.name)
    return replace(found, made=model.made(video.id))


def localize_network(
    net: nn.Module,
    preset: Preset,
    classes: Sequence[str],
    video: VideoFeatures,
    name: str = "model",
) -> Localization:
    """As :func:`localize_features`, of a network in evaluation mode."""
    return localization_of(read_network(net, preset, video), preset, classes, video, name)


def localization_of(
    found: Activations,
    preset: Preset,
    classes: Sequence[str],
    video: VideoFeatures,
    name: str = "model",
) -> Localization:
    """All proposals of a video that a network was already applied to."""
    rows = Rows(video.x, found.edges, found.centres)
    rules = find_head(preset.head).rules
    decoding = preset.decoding
    return _localization(
        found.prediction, rows, classes, decoding, video, name, 0.0, rules, found.second
    )


def localize_pretrained(
    probabilities: Floats, video: VideoFeatures, classes: Sequence[str], name: str
) -> Localization:
    """Intervals from a classifier of snippets that was never trained to localize.

    Its softmax over classes at each snippet is the class activation sequence, taken as it is. A
    class's video score is the mean of its ``max(1, T // 8)`` highest probabilities.

    Args:
        probabilities: ``[T, classes]``, each row a softmax or a part of one.
        video: the snippets' times and the duration; its features are not read.
        classes: names in the order of the columns.
        name: of what was read, for the result.

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
    rows = reading_rows(video, KINETICS400.centre)
    return _localization(prediction, rows, classes, KINETICS400, video, name, LEAST_NAMED_SCORE)


def _localization(
    prediction: Prediction,
    rows: Rows,
    classes: Sequence[str],
    decoding: DecodingSettings,
    video: VideoFeatures,
    name: str,
    least_named: float,
    rules: DecodingRules = DEFAULT_RULES,
    second: Corrector | None = None,
) -> Localization:
    scores = prediction.video_scores
    found = propose(prediction, rows.edges, rows.centres, decoding, video.duration, rules, second)
    intervals = [
        Interval(classes[index], float(start), float(end), float(score))
        for index, kept in found.items()
        for start, end, score in zip(kept.start, kept.end, kept.score, strict=True)
    ]
    order = np.argsort(-scores, kind="stable")
    return Localization(
        video=video.id,
        file=video.id,
        duration=video.duration,
        model=name,
        classes={
            classes[index]: float(scores[index]) for index in order if scores[index] >= least_named
        },
        intervals=by_score(intervals),
    )


def background(model: HeadModel, video: VideoFeatures) -> Background:
    """What a model takes for background on the snippet grid.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    return background_of(activations(model, video), video)


def background_of(found: Activations, video: VideoFeatures) -> Background:
    """What the activations of a video say is background.

    With foreground weights: those below .5. With a background class: where it is the most active
    one (score: its softmax over classes). Else: where no class's normalised activation reaches .1.
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
    return Background(predicted[row], -action[row])


def _check_width(model: HeadModel, video: VideoFeatures) -> None:
    if video.x.shape[1] != model.shape.features:
        raise BasnetError(
            f"{video.id}: its features are {video.x.shape[1]} wide, the model was trained on "
            f"{model.shape.features}; extract the video with the model's streams and backbone, or "
            "train on features like these"
        )
