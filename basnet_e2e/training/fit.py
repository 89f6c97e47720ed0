"""Train a network on videos that were read and checked, or several as an ensemble."""

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import HeadModel, load_model, save_model
from basnet_e2e.heads.common.devices import describe
from basnet_e2e.heads.ensemble import Ensemble
from basnet_e2e.training.loop import Run, StepListener
from basnet_e2e.training.run_identity import (
    RunInputs,
    data_digest,
    holdout_identity,
    model_identity,
    run_difference,
    times_digest,
)
from basnet_e2e.training.second_stage import fit_second_stage
from basnet_e2e.training.state import state_path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """The models of a run: of its last step, and of its best step if it had a monitor."""

    last: HeadModel
    best: HeadModel | None = None


def fit(
    inputs: RunInputs,
    *,
    device: torch.device | None = None,
    state: Path | None = None,
    resume: bool = False,
    progress: StepListener | None = None,
) -> Trained:
    """Train one network.

    Args:
        inputs: training videos, settings, seed, and what chooses the best step.
        device: default: the CPU.
        state: file that the state of the run is kept in; the caller removes it when the result is
            safe.
        resume: continue from that file if it exists.
        progress: called after each step.

    Raises:
        BasnetError: the state is another run's, or the features cannot be learnt from.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved first.
    """
    chosen = device or torch.device("cpu")
    preset, data = inputs.preset, inputs.data
    log.info(
        "training %s on %s, %s, T = %d, %d steps, on %s",
        preset.title,
        counted(len(data.videos), "video"),
        counted(len(data.classes), "class"),
        preset.training.segments,
        preset.training.steps,
        describe(chosen),
    )
    run = Run(inputs, chosen)
    if state is not None and state.is_file():
        if resume:
            run.load(state)
            log.info("continuing after step %d (%s)", run.state.step, state)
        else:
            log.warning("%s of an interrupted run is replaced; --resume would continue it", state)
    elif resume:
        log.info("no interrupted run at %s, starting from the beginning", state)
    run.train(state, progress)
    if run.state.step < preset.training.steps:
        log.info("stopped after step %d of %d", run.state.step, preset.training.steps)
    return _trained(run, inputs)


def member_path(output: Path, index: int) -> Path:
    """File of a finished network of an ensemble until all are finished."""
    return output.with_name(f"{output.name}.member{index}")


def fit_ensemble(
    inputs: RunInputs,
    count: int,
    *,
    output: Path | None = None,
    resume: bool = False,
    **options: Any,
) -> HeadModel:
    """Train networks of equal settings with consecutive seeds into one model.

    Args:
        inputs: as :func:`fit`, with the seed of the first network.
        count: number of networks.
        output: finished networks and the state of the running one are kept beside this file.
        resume: continue from what an earlier run left.
        options: ``device`` and ``progress`` of :func:`fit`.

    Raises:
        BasnetError: as :func:`fit`; or the files there belong to another run.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved first.
    """
    models = []
    for index in range(count):
        member = replace(inputs, seed=inputs.seed + index)
        kept = None if output is None else member_path(output, index)
        model = finished_model(kept, member) if resume and kept is not None else None
        if model is None:
            log.info("network %d of %d, seed %d", index + 1, count, member.seed)
            state = None if output is None else state_path(output)
            again = resume and state is not None and state.is_file()
            trained = fit(member, state=state, resume=again, **options)
            model = trained.best or trained.last
            if held := holdout_identity(inputs.holdout):
                model = replace(model, training=model.training | {"holdout": held})
            if kept is not None and state is not None:
                save_model(model, kept)
                state.unlink(missing_ok=True)
        models.append(model)
    loss = sum(model.training["loss"] for model in models) / count
    nets = Ensemble([model.net for model in models]).eval()
    return replace(models[0], net=nets, training=models[0].training | {"loss": loss})


def finished_model(output: Path, inputs: RunInputs, networks: int = 1) -> HeadModel | None:
    """The model of this run if it is finished; None if there is no file.

    Raises:
        BasnetError: the file is not a model, or it is another run's, which resuming never
            replaces.
    """
    if not output.is_file():
        return None
    model = load_model(output)
    wanted = inputs.identity() | {"videos": data_digest(inputs.data)}
    difference = run_difference(model_identity(model), wanted)
    members = len(model.net.members) if isinstance(model.net, Ensemble) else 1
    if difference is None and members != networks:
        difference = f"another number of networks ({members} against {networks})"
    if difference is not None:
        raise BasnetError(
            f"{output}: a finished run with {difference}; train without --resume to replace it, or "
            "choose another output"
        )
    log.info("%s is finished (%d steps), nothing to resume", output, model.training["steps"])
    return model


def _trained(run: Run, inputs: RunInputs) -> Trained:
    """The networks of the last and the best step, on the CPU."""
    data, state, monitor = inputs.data, run.state, inputs.monitor
    training: dict[str, Any] = {
        "steps": state.step,
        "seed": inputs.seed,
        "loss": state.loss,
        "videos": len(data.videos),
        "data": data_digest(data),
        "unlabelled": sum(not labels for labels in data.labels),
        "per_class": [sum(name in labels for labels in data.labels) for name in data.classes],
    }
    if data.times:
        training["times_digest"] = times_digest(data)
        training["times"] = sorted(set(data.times) & {video.id for video in data.videos})
    net = run.net.to(torch.device("cpu")).eval()
    last = HeadModel(net, data.classes, inputs.preset, run.shape, dict(data.settings), training)
    best = None
    if monitor is not None and state.best.weights is not None:
        kept = {monitor.name: monitor.record(state.best.step, state.best.score)}
        best = replace(last, net=copy.deepcopy(net), training=training | kept)
        best.net.load_state_dict(state.best.weights)
    if inputs.preset.training.second_stage:
        stage_of = (best or last).net
        stage_of.second_stage = fit_second_stage(stage_of, inputs.preset, data, inputs.seed)
    return Trained(last, best)
