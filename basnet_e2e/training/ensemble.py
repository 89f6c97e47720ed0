"""Several networks of equal settings, trained one after the other into one model."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from basnet_e2e.data.features.dataset import LabelledSet
from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.ensemble import Ensemble
from basnet_e2e.training.early_stopping import EarlyStopping
from basnet_e2e.training.fit import finished_model, fit
from basnet_e2e.training.holdout import Holdout
from basnet_e2e.training.run_identity import held_out
from basnet_e2e.training.state import state_path

log = logging.getLogger(__name__)


def member_path(output: Path, index: int) -> Path:
    """Where a finished network of an ensemble waits for the others."""
    return output.with_name(f"{output.name}.member{index}")


def fit_ensemble(
    data: LabelledSet,
    preset: Preset,
    count: int,
    *,
    seed: int = 0,
    output: Path | None = None,
    resume: bool = False,
    holdout: Holdout | None = None,
    stopping: EarlyStopping | None = None,
    **options: Any,
) -> HeadModel:
    """Train networks of equal settings with one seed after the other, into one model.

    Args:
        data: training videos.
        preset: the head and its settings.
        count: number of networks.
        seed: of the first.
        output: finished networks and the state of the running one are kept beside this file.
        resume: continue from what an earlier run left.
        holdout: videos that were kept out of ``data``.
        stopping: ends each network's training for itself.
        options: ``device`` and ``progress`` of :func:`fit`.

    Raises:
        BasnetError: as :func:`fit`; or what is there belongs to another run.
        KeyboardInterrupt: Ctrl-C; the state is saved first.
    """
    models = []
    for index in range(count):
        kept = None if output is None else member_path(output, index)
        model = None
        if resume and kept is not None:
            model = finished_model(kept, data, preset, seed + index, None, holdout, stopping)
        if model is None:
            log.info("network %d of %d, seed %d", index + 1, count, seed + index)
            state = None if output is None else state_path(output)
            trained = fit(
                data,
                preset,
                seed=seed + index,
                state=state,
                resume=resume and state is not None and state.is_file(),
                holdout=holdout,
                stopping=stopping,
                **options,
            )
            model = trained.best or trained.last
            if holdout is not None:
                model = replace(model, training=model.training | {"holdout": held_out(holdout)})
            if kept is not None and state is not None:
                save_model(model, kept)
                state.unlink(missing_ok=True)
        models.append(model)
    loss = sum(model.training["loss"] for model in models) / count
    nets = Ensemble([model.net for model in models]).eval()
    return replace(models[0], net=nets, training=models[0].training | {"loss": loss})
