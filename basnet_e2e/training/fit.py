"""One training run from videos that were read and checked to its model."""

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.data.features.sampling import segments_for
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import HeadModel, load_model
from basnet_e2e.heads.common.devices import describe
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.ensemble import Ensemble
from basnet_e2e.heads.registry import find_head
from basnet_e2e.training.early_stopping import EarlyStopping
from basnet_e2e.training.holdout import Holdout
from basnet_e2e.training.loop import Run, StepListener
from basnet_e2e.training.run_identity import (
    data_digest,
    model_identity,
    run_difference,
    run_identity,
    times_digest,
)
from basnet_e2e.training.second_stage import fit_second_stage
from basnet_e2e.training.validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a run gives: the last step's network, and the best one if there was a monitor."""

    last: HeadModel
    best: HeadModel | None


def fit(
    data: LabelledSet,
    preset: Preset,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    validation: Validation | None = None,
    holdout: Holdout | None = None,
    stopping: EarlyStopping | None = None,
    state: Path | None = None,
    resume: bool = False,
    progress: StepListener | None = None,
) -> Trained:
    """Train on videos that were read and checked (:func:`usable`) already.

    Args:
        data: training videos.
        preset: the head and its settings; without ``segments`` T follows the videos.
        seed: of weights, samples and dropout.
        device: default: the CPU.
        validation: looked at now and then for the best step.
        holdout: videos that were kept out of ``data``; only to tell runs apart.
        stopping: ends the run where held-out videos are no longer recognised better; not together
            with ``validation``.
        state: file that the state of the run is kept in; the caller removes it when the result is
            safe.
        resume: continue from that file if it exists.
        progress: called after each step.

    Raises:
        BasnetError: the state is another run's, or the features cannot be learnt from.
        KeyboardInterrupt: Ctrl-C; the state is saved first.
    """
    chosen = device or torch.device("cpu")
    preset = with_segments(preset, data)
    log.info(
        "training %s on %s, %s, T = %d, %d steps, on %s",
        preset.title,
        counted(len(data.videos), "video"),
        counted(len(data.classes), "class"),
        preset.training.segments,
        preset.training.steps,
        describe(chosen),
    )
    used = find_head(preset.head).videos(data, preset)
    identity = run_identity(data, preset, seed, validation, holdout, stopping)
    run = Run(used, preset, seed, chosen, identity, validation or stopping)
    if state is not None and state.is_file():
        if resume:
            run.load(state)
            log.info("going on after step %d (%s)", run.step, state)
        else:
            log.warning("%s of an interrupted run is replaced; --resume would continue it", state)
    elif resume:
        log.info("no interrupted run at %s, starting from the beginning", state)
    run.train(state, progress)
    if run.step < preset.training.steps:
        log.info("stopped after step %d of %d", run.step, preset.training.steps)
    return _trained(run, data, preset, seed, validation, stopping)


def with_segments(preset: Preset, data: LabelledSet) -> Preset:
    """Settings whose T is a number, that of the videos where the settings leave it open."""
    lengths = [len(video.x) for video in data.videos]
    return preset.changed(segments=segments_for(lengths, preset.training.segments))


def finished_model(
    output: Path,
    data: LabelledSet,
    preset: Preset,
    seed: int,
    validation: Validation | None,
    holdout: Holdout | None,
    stopping: EarlyStopping | None = None,
    networks: int = 1,
) -> HeadModel | None:
    """The model of this very run where it was finished before; None where there is no model.

    Raises:
        BasnetError: the file is not a model, or it is another run's, which resuming never
            replaces.
    """
    if not output.is_file():
        return None
    model = load_model(output)
    wanted = run_identity(data, with_segments(preset, data), seed, validation, holdout, stopping)
    difference = run_difference(model_identity(model), wanted | {"videos": data_digest(data)})
    held = len(model.net.members) if isinstance(model.net, Ensemble) else 1
    if difference is None and held != networks:
        difference = f"another number of networks ({held} against {networks})"
    if difference is not None:
        raise BasnetError(
            f"{output}: a finished run with {difference}; train without --resume to replace it, or "
            "choose another output"
        )
    log.info("%s is finished (%d steps), nothing to resume", output, model.training["steps"])
    return model


def _trained(
    run: Run,
    data: LabelledSet,
    preset: Preset,
    seed: int,
    validation: Validation | None,
    stopping: EarlyStopping | None,
) -> Trained:
    """The last step's network and the best one, on the CPU."""
    training: dict[str, Any] = {
        "steps": run.step,
        "seed": seed,
        "loss": run.loss,
        "videos": len(data.videos),
        "data": data_digest(data),
        "unlabelled": sum(not labels for labels in data.labels),
        "per_class": [sum(name in labels for labels in data.labels) for name in data.classes],
    }
    net = run.net.to(torch.device("cpu")).eval()
    last = HeadModel(net, data.classes, preset, run.shape, dict(data.settings), training)
    if data.times:
        training["times_digest"] = times_digest(data)
        training["times"] = sorted(set(data.times) & {video.id for video in data.videos})
    if run.best.weights is None:
        return Trained(_with_second_stage(last, data, seed), None)
    chosen = copy.deepcopy(net)
    chosen.load_state_dict(run.best.weights)
    step, score = run.best.step, run.best.score
    known = {
        name: monitor.record(step, score)
        for name, monitor in (("validation", validation), ("stopping", stopping))
        if monitor is not None
    }
    best = replace(last, net=chosen, training=training | known)
    return Trained(last, _with_second_stage(best, data, seed))


def _with_second_stage(model: HeadModel, data: LabelledSet, seed: int) -> HeadModel:
    """The model with a second stage behind its network, where the settings ask for one."""
    if model.preset.training.second_stage:
        model.net.second_stage = fit_second_stage(model.net, model.preset, data, seed)
    return model
