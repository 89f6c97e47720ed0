"""A trained network applied to the features of one video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from basnet_e2e.data.dataset import VideoFeatures
from basnet_e2e.data.sampling import Rows, reading_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.basnet import BaSNet
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.presets import KINETICS400, Preset, Recipe
from basnet_e2e.heads.presets import recipe as find_recipe
from basnet_e2e.intervals import Interval, Localization, by_score
from basnet_e2e.localization.proposals import Floats, normalise, propose, smooth

# Classes of the built-in model that a result names; the other hundreds are near zero.
LEAST_NAMED_SCORE = 0.01
# A snippet is background to the recipe `baseline` where no action class is more active than this.
LEAST_ACTIVE = 0.1


@dataclass(frozen=True)
class Activations:
    """What a model sees in a video, on the rows it reads.

    Attributes:
        cas: ``[n, C]`` activation of the action classes as proposals are cut from it: smoothed and
            normalised as the preset says.
        raw: ``[n, N]`` activation as the network gives it; the last column is background where the
            recipe has that class.
        foreground: ``[n]`` foreground weights in [0, 1]; None without suppression branch.
        video_scores: ``[C]`` video-level scores.
        edges: ``[n + 1]`` seconds between rows.
        centres: ``[n]`` seconds at which the rows' values sit.
    """

    cas: Floats
    raw: Floats
    foreground: Floats | None
    video_scores: Floats
    edges: Floats
    centres: Floats


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


def read_network(net: BaSNet, preset: Preset, video: VideoFeatures) -> Activations:
    """As :func:`activations`, of a network in evaluation mode."""
    rows = reading_rows(video, preset)
    raw, scores, foreground = _read_branch(net, rows)
    return Activations(
        normalise(smooth(raw[:, : net.classes], preset.smooth), preset),
        raw,
        foreground,
        scores[: net.classes],
        rows.edges,
        rows.centres,
    )


def _read_branch(net: BaSNet, rows: Rows) -> tuple[Floats, Floats, Floats | None]:
    """Activation ``[n, N]``, scores ``[N]`` and foreground weights ``[n]`` of the branch read."""
    device = next(net.parameters()).device
    with torch.inference_mode():
        x = torch.from_numpy(np.array(rows.x, np.float32)).to(device)
        output = net(x[None], only=net.recipe.reads)
    if net.recipe.reads == "base":
        parts = output.cas_base, output.scores_base, None
    else:
        parts = output.cas_supp, output.scores_supp, output.foreground
    cas, scores, foreground = (
        None if part is None else part[0].cpu().numpy().astype(np.float64) for part in parts
    )
    assert cas is not None
    assert scores is not None
    return cas, scores, foreground


def localize_features(model: HeadModel, video: VideoFeatures) -> Localization:
    """All proposals of a video after non-maximum suppression, highest score first.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    _check_width(model, video)
    return localize_network(model.net, model.preset, model.classes, video, model.name)


def localize_network(
    net: BaSNet, preset: Preset, classes: Sequence[str], video: VideoFeatures, name: str = "model"
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
    """All proposals of a video that a network has seen already."""
    return _localization(
        found.raw[:, : len(classes)],
        found.video_scores,
        Rows(video.x, found.edges, found.centres),
        classes,
        preset,
        video,
        name,
        0.0,
    )


def localize_kinetics(
    probabilities: Floats, video: VideoFeatures, classes: Sequence[str]
) -> Localization:
    """Intervals from a classifier of snippets that was never trained to localize.

    Its softmax over classes at each snippet is the class activation sequence, taken as it is. A
    class's video score is the mean of its ``max(1, T // 8)`` highest probabilities.

    Args:
        probabilities: ``[T, classes]``, each row a softmax.
        video: the snippets' times and the duration; its features are not read.
        classes: names in the order of the columns.

    Raises:
        BasnetError: probabilities, snippets and classes do not fit together.
    """
    shape = (len(video.start), len(classes))
    if probabilities.shape != shape:
        raise BasnetError(
            f"{video.id}: probabilities {probabilities.shape} for {shape[0]} snippets and "
            f"{shape[1]} classes"
        )
    highest = max(1, len(probabilities) // KINETICS400.ratio)
    cas = np.asarray(probabilities, np.float64)
    scores = np.sort(cas, axis=0)[-highest:].mean(axis=0)
    rows = reading_rows(video, KINETICS400)
    return _localization(
        cas, scores, rows, classes, KINETICS400, video, KINETICS400.name, LEAST_NAMED_SCORE
    )


def _localization(
    cas: Floats,
    scores: Floats,
    rows: Rows,
    classes: Sequence[str],
    preset: Preset,
    video: VideoFeatures,
    name: str,
    least_named: float,
) -> Localization:
    found = propose(cas, rows.edges, rows.centres, scores, preset, video.duration)
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
    """What a model takes for background on the snippet grid, by its recipe.

    Raises:
        BasnetError: the features have another width than those the model was trained on.
    """
    return background_of(activations(model, video), find_recipe(model.recipe), video)


def background_of(found: Activations, recipe: Recipe, video: VideoFeatures) -> Background:
    """What a network that has seen a video takes for background, by its recipe.

    With a suppression branch: foreground weight below .5. ``base``: the background class is the
    most active one (score: its softmax over classes). ``baseline``: no class's normalised
    activation reaches .1.
    """
    if found.foreground is not None:
        action = found.foreground
        predicted = action < 0.5
    elif recipe.background:
        shifted = np.exp(found.raw - found.raw.max(axis=1, keepdims=True))
        action = 1 - shifted[:, -1] / shifted.sum(axis=1)
        predicted = found.raw.argmax(axis=1) == found.raw.shape[1] - 1
    else:
        action = found.cas.max(axis=1)
        predicted = action < LEAST_ACTIVE
    centres = (video.start + video.end) / 2
    row = np.searchsorted(found.edges, centres, side="right") - 1
    row = np.clip(row, 0, len(action) - 1)
    return Background(predicted[row], -action[row])


def _check_width(model: HeadModel, video: VideoFeatures) -> None:
    if video.x.shape[1] != model.features:
        raise BasnetError(
            f"{video.id}: its features are {video.x.shape[1]} wide, the model was trained on "
            f"{model.features}; extract the video with the model's streams and backbone, or train "
            "on features like these"
        )
