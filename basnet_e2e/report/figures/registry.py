"""Registry of figures: what each name draws, and from which files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from basnet_e2e.data.annotations.video_names import match_ids
from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.data.files.text_files import read_json
from basnet_e2e.errors import BasnetError
from weights.json_documents import Number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from basnet_e2e.intervals import Interval
    from basnet_e2e.report.figures.map_curves import MapCurve
    from basnet_e2e.report.figures.model_view import ModelView


@dataclass(frozen=True)
class Request:
    """What a picture is drawn from.

    Attributes:
        inputs: the files that the picture's entry names.
        model: model file, for pictures of what a model sees.
        ground_truth: annotated intervals.
        subset: of the annotations; default: test or validation.
        video: id of the video, where the features are those of several.
        at: seconds, for pictures of one moment.
        flow: name of the flow method; default: ``tvl1``.
        device: where networks and flow run.
    """

    inputs: Sequence[Path]
    model: Path | None = None
    ground_truth: Path | None = None
    subset: str | None = None
    video: str | None = None
    at: float | None = None
    flow: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Picture:
    """One entry of the table.

    Attributes:
        summary: what it shows.
        source: what it is drawn from.
        draw: makes the figure.
    """

    summary: str
    source: str
    draw: Callable[[Request], "Figure"]


def find_picture(name: str) -> Picture:
    """A picture by its name.

    Raises:
        BasnetError: there is none of this name.
    """
    if name not in PICTURES:
        raise BasnetError(f"no picture {name!r}; pictures are {', '.join(PICTURES)}")
    return PICTURES[name]


def _video(request: Request) -> "Figure":
    from basnet_e2e.report.figures.timeline import draw_timeline

    return draw_timeline(*_view_and_truth(request, "video"))


def _heat_map(request: Request) -> "Figure":
    from basnet_e2e.report.figures.heatmap import draw_heat_map

    return draw_heat_map(*_view_and_truth(request, "cas"))


def _snippet(request: Request) -> "Figure":
    from basnet_e2e.report.figures.snippet import draw_snippet, take_snippet
    from extract.flow.registry import flow_method

    path = _single(request, "snippet")
    method = flow_method(request.flow or "tvl1", device=request.device)
    return draw_snippet(take_snippet(path, request.at, method))


def _training(request: Request) -> "Figure":
    from basnet_e2e.data.training_log import CSV_SUFFIX, read_log
    from basnet_e2e.report.figures.training_curves import draw_training_curves

    path = _single(request, "training")
    return draw_training_curves(read_log(path), path.name.removesuffix(CSV_SUFFIX))


def _map(request: Request) -> "Figure":
    from basnet_e2e.report.figures.map_curves import map_curves

    curves: dict[str, MapCurve] = {}
    for path in request.inputs:
        name = path.stem
        curves[name if name not in curves else str(path)] = _evaluation(path)
    return map_curves(curves, {}, "mAP against temporal IoU", _bands(curves))


def _ethogram(request: Request) -> "Figure":
    from basnet_e2e.interchange.annotated import Hints
    from basnet_e2e.interchange.compared import timed_videos
    from basnet_e2e.report.figures.ethogram import ROWS, draw_ethogram

    videos = timed_videos(list(request.inputs), Hints(predictions=True))
    if len(videos) > ROWS:
        raise BasnetError(f"{len(videos)} videos; an ethogram has room for {ROWS}")
    found = {video.video: video.intervals for video in videos}
    return draw_ethogram(found, {video.video: video.duration for video in videos})


PICTURES: dict[str, Picture] = {
    "video": Picture(
        "ground truth, detections, activation and foreground weight of a video over time",
        "a result with its evidence, or features and a model",
        _video,
    ),
    "cas": Picture(
        "class activation sequence of a video as a heat map",
        "a result with its evidence, or features and a model",
        _heat_map,
    ),
    "snippet": Picture("frames and flow of a snippet side by side", "a video", _snippet),
    "training": Picture(
        "loss, its parts, validation and rate over the steps", "a log of training", _training
    ),
    "map": Picture("mAP against temporal IoU", "results of 'basnet evaluate --json'", _map),
    "ethogram": Picture(
        "what happens when in several videos, one row per video",
        "results, or annotations of any tool",
        _ethogram,
    ),
}


def _single(request: Request, name: str) -> Path:
    if len(request.inputs) != 1:
        source = PICTURES[name].source
        raise BasnetError(f"picture {name} is drawn from one input ({source})")
    return request.inputs[0]


def _view_and_truth(request: Request, name: str) -> "tuple[ModelView, list[Interval]]":
    """What the model sees in the video, and the video's annotated intervals."""
    path = _single(request, name)
    recorded = path.is_file() and kind_of(path) is Kind.RESULT
    view = _recorded(request, path) if recorded else _computed(request, path, name)
    return view, _truth(request, view.result.video)


def _recorded(request: Request, path: Path) -> "ModelView":
    """What a model saw when it wrote a result."""
    from basnet_e2e.data.annotations.predictions import read_results
    from basnet_e2e.report.evidence import find_evidence
    from basnet_e2e.report.figures.model_view import recorded_view

    if request.model is not None:
        raise BasnetError(f"{path}: a result says what its model saw; omit --model")
    results = [one for one in read_results(path)[0] if request.video in (None, one.video)]
    if len(results) != 1:
        raise BasnetError(
            f"{path}: results of {len(results)} such videos; name the one to draw with --video"
        )
    evidence = find_evidence(path, results[0].video)
    if evidence is None or not len(evidence.centres) or not evidence.classes:
        raise BasnetError(
            f"{path}: no activations are kept beside it; localize the video again with --report, "
            "or draw its features with --model"
        )
    return recorded_view(results[0], evidence)


def _computed(request: Request, path: Path, name: str) -> "ModelView":
    """What a model sees in the features of a video."""
    from basnet_e2e.data.features.dataset import load_features
    from basnet_e2e.heads.checkpoint import load_model
    from basnet_e2e.report.figures.model_view import apply_model

    if request.model is None:
        raise BasnetError(f"picture {name} shows what a model sees; give it with --model")
    model = load_model(request.model)
    ids = None if request.video is None else [request.video]
    streams = model.extractor.get("streams") or None
    videos = load_features(path, ids=ids, streams=streams).videos
    if len(videos) != 1:
        raise BasnetError(
            f"{path}: features of {len(videos)} videos; name the one to draw with --video"
        )
    return apply_model(model, videos[0])


def _truth(request: Request, video: str) -> "list[Interval]":
    """Annotated intervals of a video; none where no ground truth is given."""
    if request.ground_truth is None:
        return []
    from basnet_e2e.data.annotations.annotations import read_ground_truth

    truth = read_ground_truth(request.ground_truth, request.subset)
    named = [name for name, id_ in match_ids(truth.videos, [video]).found.items() if id_ == video]
    if not named:
        raise BasnetError(
            f"{request.ground_truth}: says nothing of '{video}'; omit --ground-truth, or give "
            "the annotations (or the --subset) of this video"
        )
    return list(truth.videos[named[0]])


class _Confidence(Struct):
    low: list[Number]
    high: list[Number]


class _Evaluation(Struct):
    """What ``basnet evaluate --json`` prints, as far as the curve needs it."""

    tiou: list[Number]
    map: list[Number]
    confidence: _Confidence | None = None


def _evaluation(path: Path) -> "MapCurve":
    """A curve out of what ``basnet evaluate --json`` printed."""
    from basnet_e2e.report.figures.map_curves import MapCurve

    try:
        found = read_json(path, _Evaluation)
    except BasnetError as error:
        raise BasnetError(f"{error}; not what 'basnet evaluate --json' prints") from error
    tious, values = found.tiou, [100 * value for value in found.map]
    if not tious or len(tious) != len(values):
        raise BasnetError(f"{path}: {len(values)} values of mAP for {len(tious)} thresholds")
    if found.confidence is None:
        return MapCurve(tious, values)
    low, high = (
        [100 * value for value in each] for each in (found.confidence.low, found.confidence.high)
    )
    if not len(low) == len(high) == len(values):
        raise BasnetError(f"{path}: {len(low)} and {len(high)} bounds for {len(values)} values")
    return MapCurve(tious, values, low, high)


def _bands(curves: "dict[str, MapCurve]") -> str:
    return "bands: 95 % confidence" if any(curve.low for curve in curves.values()) else ""
