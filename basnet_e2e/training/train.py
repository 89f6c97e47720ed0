"""Training: features, video-level labels and whatever times are known, to a model."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.annotations import (
    GroundTruth,
    Labels,
    read_classes,
    read_labels,
)
from basnet_e2e.data.annotations.known_times import KnownTimes
from basnet_e2e.data.annotations.label_matching import nothing_to_learn
from basnet_e2e.data.annotations.training_videos import match_training
from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.features.dataset import FeatureSet, LabelledSet, load_labelled
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.devices import choose_device
from basnet_e2e.heads.common.head import Head
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.presets import preset as find_preset
from basnet_e2e.heads.registry import DEFAULT_HEAD, TRAINED_HEAD, find_head
from basnet_e2e.training.batches import known_in_most
from basnet_e2e.training.early_stopping import EarlyStopping
from basnet_e2e.training.fit import Trained, finished_model, fit, fit_ensemble, member_path
from basnet_e2e.training.holdout import Holdout, hold_out, report
from basnet_e2e.training.known_times import read_any_times
from basnet_e2e.training.log_writers import logged
from basnet_e2e.training.loop import StepListener
from basnet_e2e.training.run_identity import Monitor, RunInputs, holdout_identity
from basnet_e2e.training.state import state_path
from basnet_e2e.training.validation import Validation

log = logging.getLogger(__name__)


def train(
    features: str | os.PathLike[str] | FeatureSet | LabelledSet,
    labels: str | os.PathLike[str] | Labels | None = None,
    preset: str | Preset = "default",
    recipe: str | None = None,
    *,
    intervals: str | os.PathLike[str] | KnownTimes | None = None,
    head: str | None = None,
    validate: str | os.PathLike[str] | GroundTruth | None = None,
    classes: str | os.PathLike[str] | Sequence[str] | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
    seed: int = 0,
    steps: int | None = None,
    ensemble: int = 1,
    holdout: float | None = None,
    stop_early: bool = False,
    balanced: bool = False,
    log_to: str | None = None,
    device: str = "auto",
    resume: bool = False,
    output: str | os.PathLike[str] | None = None,
    progress: StepListener | None = None,
) -> HeadModel:
    """Train a head on the features of videos and the classes that occur in each.

    Equal data, settings and seed give equal weights on one machine's CPU, also after the run was
    interrupted and resumed.

    Args:
        features: folder of features, or features that were read already.
        labels: label file or folder, or labels that were read already; None with a
            ``LabelledSet``.
        preset: a preset of the head (BaS-Net: ``default``, ``small``, ``official``,
            ``activitynet``), or other settings.
        recipe: row of the head's ablation (BaS-Net: ``full``, ``suppression``, ``base`` or
            ``baseline``); default: the preset's.
        intervals: known intervals, points and unknown stretches: any file of
            :func:`read_known_times`, or of an annotation tool (a corrected result too). Videos that
            have times need no label.
        head: name of the method; default: that of the preset. For a preset's name: ``plus``, or
            ``basnet`` if a recipe is given or only ``basnet`` has that preset.
        validate: annotated intervals of videos that have features in ``features`` but no training
            label; the step with the best average mAP on them is kept. Default: the last step is.
        classes: class list, or a file with it, in order; default: order of first appearance.
        streams: read only these streams of the features.
        grid: ``fps,length,stride`` of array files.
        seed: of weights, samples and dropout.
        steps: training steps instead of the preset's.
        ensemble: networks in the model, trained with consecutive seeds; their mean is taken. Not
            together with ``validate`` or ``log_to``.
        holdout: share of the videos of each class that are not trained on; how well their labels
            are recognised is logged, and kept in the model's training summary.
        stop_early: keep the step with the lowest loss on the videos held out, and stop when it no
            longer falls; needs ``holdout``, not together with ``validate``.
        balanced: draw every class, and background, equally often, however many videos it has.
        log_to: ``csv`` or ``tensorboard``: write loss, its parts, rates and validations of all
            steps beside ``output`` (``.log.csv``, ``.tensorboard``).
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        resume: continue from the state file beside ``output`` if there is one; a finished run is
            returned as it is.
        output: model file to write; the state of the run is kept beside it (``.state``) every few
            minutes and on Ctrl-C, and removed at the end.
        progress: called after each step.

    Raises:
        BasnetError: the features, labels or settings cannot be trained on.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved first.
    """
    settings = _settings(preset, head, recipe, steps, balanced)
    if resume and output is None:
        raise BasnetError("resuming needs the model file (output) that the state is kept beside")
    _check_ensemble(ensemble, validate is not None or log_to is not None)
    if stop_early:
        _check_can_stop(settings, holdout is not None, validate is not None)
    chosen = choose_device(device)
    wanted = read_classes(classes) if isinstance(classes, str | os.PathLike) else classes
    known = read_any_times(intervals)
    data = usable(_labelled(features, labels, known, wanted, streams, grid), settings)
    settings = with_known_times(settings, data)
    monitor: Monitor | None = None
    if validate is not None:
        monitor = Validation.of(validate, features, data, streams=streams, grid=grid)
    held = None
    if holdout is not None:
        data, held = hold_out(data, holdout, seed)
        monitor = EarlyStopping(held) if stop_early else monitor
    inputs = RunInputs(data, settings, seed, held, monitor)
    path = None if output is None else Path(output)
    state = None if path is None else state_path(path)
    if resume and path is not None and not state_path(path).is_file():
        finished = finished_model(path, inputs, ensemble)
        if finished is not None:
            return finished
    if ensemble > 1:
        trained = Trained(
            fit_ensemble(
                inputs, ensemble, output=path, resume=resume, device=chosen, progress=progress
            )
        )
    else:
        with logged(log_to, output, progress) as listener:
            trained = fit(inputs, device=chosen, state=state, resume=resume, progress=listener)
    model = _best_known(trained, held, log_to)
    return model if path is None else _saved(model, path, ensemble)


def _settings(
    preset: str | Preset, head: str | None, recipe: str | None, steps: int | None, balanced: bool
) -> Preset:
    """The preset with the changes asked for.

    Raises:
        BasnetError: a name is unknown, or the head's batches cannot be balanced.
    """
    if head is None and isinstance(preset, str):
        head = default_head(preset, recipe)
    changes = {"recipe": recipe, "steps": steps, "batches": "balanced" if balanced else None}
    given: dict[str, Any] = {name: each for name, each in changes.items() if each is not None}
    settings = find_preset(preset, head=head, **given)
    if balanced and type(find_head(settings.head)).choose is not Head.choose:
        raise BasnetError(
            f"the head {settings.head} draws its batches in its own way, which cannot be balanced; "
            "leave out --balanced"
        )
    return settings


def _check_ensemble(ensemble: int, of_one: bool) -> None:
    if ensemble < 1:
        raise BasnetError(f"an ensemble has at least 1 network, not {ensemble}")
    if ensemble > 1 and of_one:
        raise BasnetError(
            "an ensemble is the mean of the last steps of several networks; validation and a log "
            "are of one: leave out one of both"
        )


def _check_can_stop(settings: Preset, holds_out: bool, validates: bool) -> None:
    if not holds_out:
        raise BasnetError("--stop-early looks at videos held out: give a share, --holdout 0.2")
    if validates:
        raise BasnetError(
            "--stop-early and --validate both choose the step that is kept: leave out one of both"
        )
    if not find_head(settings.head).may_stop:
        raise BasnetError(
            f"the head {settings.head} learns one thing after the other, so its training cannot "
            "stop early; leave out --stop-early"
        )


def default_head(preset: str, recipe: str | None) -> str:
    """The head of a run that names none: BaS-Net for what only BaS-Net has, else the best one."""
    known = find_head(TRAINED_HEAD).presets
    only_basnet = preset in find_head(DEFAULT_HEAD).presets and preset not in known
    return DEFAULT_HEAD if recipe is not None or only_basnet else TRAINED_HEAD


def _best_known(trained: Trained, held: Holdout | None, log_to: str | None) -> HeadModel:
    """The best model, with its quality in its training summary."""
    model = trained.best or trained.last
    best = trained.best.training if trained.best is not None else {}
    if kept := best.get("validation"):
        log.info(
            "kept step %d, average mAP %.1f on the validation videos",
            kept["step"],
            100 * kept["average_map"],
        )
    if kept := best.get("stopping"):
        log.info("kept step %d, loss %.4f on the videos held out", kept["step"], kept["loss"])
    known: dict[str, Any] = {} if log_to is None else {"log": log_to}
    if held is not None:
        found = held.recognise(model.net, model.preset)
        report(found)
        known["holdout"] = (holdout_identity(held) or {}) | found.to_json()
    return replace(model, training=model.training | known)


def _saved(model: HeadModel, path: Path, ensemble: int) -> HeadModel:
    """The model, written and named as its file; the state of the run is removed."""
    save_model(model, path)
    state_path(path).unlink(missing_ok=True)
    for index in range(ensemble):
        member_path(path, index).unlink(missing_ok=True)
    log.info(
        "model written to %s (%s: %s)",
        path,
        counted(len(model.classes), "class"),
        ", ".join(model.classes),
    )
    return replace(model, name=path.stem)


def _labelled(
    features: str | os.PathLike[str] | FeatureSet | LabelledSet,
    labels: str | os.PathLike[str] | Labels | None,
    times: KnownTimes | None,
    classes: Sequence[str] | None,
    streams: Sequence[str] | None,
    grid: str | None,
) -> LabelledSet:
    if isinstance(features, LabelledSet):
        if times is None:
            return features
        ids = [video.id for video in features.videos]
        labels = Labels(dict(zip(ids, features.labels, strict=True)), features.classes)
        classes, features = features.classes, FeatureSet(features.videos, features.settings)
    if not isinstance(features, FeatureSet):
        return load_labelled(
            features, labels, times=times, classes=classes, streams=streams, grid=grid
        )
    if labels is not None and not isinstance(labels, Labels):
        labels = read_labels(labels)
    # Features in memory may be a choice; labels of other videos are not a mistake.
    labels = labels and replace(labels, published=True)
    times = times and replace(times, published=True)
    ids = [video.id for video in features.videos]
    matched = match_training(labels, times, ids, "the set given", classes=classes)
    matched.check()
    videos = [video for video in features.videos if video.id in matched.by_id]
    names = [matched.by_id[video.id] for video in videos]
    return LabelledSet(videos, names, matched.classes, features.settings, matched.times)


def with_known_times(settings: Preset, data: LabelledSet) -> Preset:
    """The settings, with a second stage if the data have known times.

    Raises:
        BasnetError: the head learns from labels only.
    """
    if not data.times:
        return settings
    head = find_head(settings.head)
    if not head.learns_times:
        raise BasnetError(
            f"the head {settings.head} learns from labels only; train plus or basnet, or leave out "
            "--intervals"
        )
    changes = head.where_annotated if known_in_most(data, complete=True) else {}
    return settings.changed(second_stage=True, **changes)


def usable(data: LabelledSet, preset: Preset) -> LabelledSet:
    """The videos that the settings can learn from.

    Raises:
        BasnetError: nothing is left, or all videos have the same label, which teaches nothing.
    """
    empty = [video.id for video, labels in zip(data.videos, data.labels, strict=True) if not labels]
    learns = find_head(preset.head).learns_background(preset)
    if empty and (preset.training.unlabelled == "drop" or not learns):
        without = f"recipe {preset.recipe}" if preset.recipe else f"head {preset.head}"
        why = f"preset {preset.name}" if learns else without
        log.warning("%s cannot learn from videos without labels, left out: %s", why, listing(empty))
        data = data.subset(index for index, labels in enumerate(data.labels) if labels)
    problem = nothing_to_learn(data.labels)
    # Intervals tell actions from background even where all videos have one label.
    if problem is not None and not any(times.intervals for times in data.times.values()):
        raise BasnetError(problem)
    never = [name for name in data.classes if not any(name in labels for labels in data.labels)]
    if never:
        log.warning("no training video has the class %s", listing(never))
    return data
