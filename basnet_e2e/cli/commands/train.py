"""`basnet train`: features and video-level labels to a model file."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    COUNT,
    FILE,
    PATH,
    Number,
    device_option,
    force_option,
    grid_option,
    streams_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.cli.terminal.tables import new_table, show
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_folder, check_output
from basnet_e2e.heads.registry import TRAINED_HEAD, describe_heads
from basnet_e2e.interchange.output_text import one_line

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel

log = logging.getLogger(__name__)


@command("basnet train features/ --labels labels.csv -o model.safetensors")
@click.argument("features", type=PATH)
@click.option(
    "--labels",
    type=PATH,
    help="CSV video,labels; ActivityNet JSON; or a folder per class (see 'basnet labels').",
)
@click.option(
    "--intervals",
    type=PATH,
    metavar="KNOWN",
    help="When actions happen, as far as it is known: CSV video,label,start,end (no end: a point; "
    "no label: nobody looked), ActivityNet JSON, or a corrected result. Replaces --labels if it "
    "covers all videos.",
)
@click.option("-o", "--output", required=True, type=FILE, help="Model file to write.")
@click.option(
    "--head",
    metavar="NAME",
    show_default=f"{TRAINED_HEAD}; basnet with --recipe or its presets",
    help=f"Method: {describe_heads()}.",
)
@click.option(
    "--preset",
    default="default",
    show_default=True,
    metavar="NAME",
    help="Settings of the head: default; small: a smaller network, for CPUs; official: as in the "
    "released code (plus has none); activitynet: for basnet.",
)
@click.option(
    "--recipe",
    metavar="NAME",
    help="Ablation of basnet: full (the method), suppression, base or baseline. Default: full.",
)
@streams_option("Use only rgb or only flow. Default: all that the features hold.")
@click.option(
    "--validate",
    type=PATH,
    help="Intervals of validation videos (JSON or CSV): keep the best step on them. Default: the "
    "last step.",
)
@click.option(
    "--classes",
    type=PATH,
    help="File with one class per line, in order. Default: order of first appearance.",
)
@grid_option
@click.option(
    "--seed",
    type=Number(min=0),
    default=0,
    show_default=True,
    help="Equal seeds give equal models.",
)
@click.option("--steps", type=COUNT, help="Training steps. Default: the preset's.")
@click.option(
    "--ensemble",
    type=COUNT,
    default=1,
    show_default=True,
    help="Networks in the model, with this seed and those after it, averaged; steadier with few "
    "videos, N times as long.",
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Train without this share of the videos (such as 0.2) and say how well their labels are "
    "recognised. Default: train on all.",
)
@click.option(
    "--stop-early",
    is_flag=True,
    help="With --holdout: keep the step that recognises those labels best, and stop when it gets "
    "worse.",
)
@click.option(
    "--balanced",
    is_flag=True,
    help="Draw every class, and background, equally often. Default: every video.",
)
@click.option(
    "--log",
    "log_to",
    type=click.Choice(["csv", "tensorboard"]),
    help="Write loss, its parts, learning rate and validations of each step beside the model. "
    "Default: no log.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run. Default: start over.")
@force_option
@device_option
def train(features: Path, output: Path, force: bool, log_to: str | None, **chosen: Any) -> None:
    """Train a head on a folder of FEATURES with the labels of each video.

    What else is known of some videos (--intervals) teaches more: intervals, points, or that nothing
    happens. A video with intervals counts as completely annotated.

    Interrupted training continues with --resume and gives the same model as an uninterrupted run.
    """
    from basnet_e2e.training.log_writers import log_path
    from basnet_e2e.training.train import train as run

    read = [features, *(chosen[name] for name in ("labels", "intervals", "validate", "classes"))]
    check_output(output, Kind.MODEL, read, force=force)
    if log_to == "csv":
        check_output(log_path(log_to, output), Kind.TRAINING_LOG, read, force=force)
    elif log_to is not None:
        check_folder(log_path(log_to, output))
    with StepProgress("train") as bar:
        model = run(
            features,
            output=output,
            log_to=log_to,
            progress=lambda state: bar.update(
                state.step, state.steps, f"loss {state.loss:.4f}, {state.speed:.1f} steps/s"
            ),
            **chosen,
        )
    # A model that an older version trained does not list its videos.
    if log.isEnabledFor(logging.INFO) and "per_class" in model.training:
        show(_summary(model), to_stderr=True)


def _summary(model: "HeadModel") -> Any:
    """How many videos taught each class; the rest of the run as the title."""
    facts = model.training
    title = (
        f"{counted(len(model.classes), 'class')} from {counted(facts['videos'], 'video')} "
        f"({facts['unlabelled']} without any), {facts['steps']} steps, loss {facts['loss']:.4f}"
    )
    if "validation" in facts:
        title += f", validation mAP {100 * facts['validation']['average_map']:.1f} %"
    table = new_table(title, "class", "videos")
    for name, count in zip(model.classes, facts["per_class"], strict=True):
        table.add_row(one_line(name), str(count))
    return table
