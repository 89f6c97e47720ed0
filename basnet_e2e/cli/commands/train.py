"""`basnet train`: features and video-level labels to a model file."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import StreamList, device_option, force_option, message_options
from basnet_e2e.cli.terminal.progress import ProgressBar
from basnet_e2e.cli.terminal.tables import new_table, show
from basnet_e2e.heads.registry import TRAINED_HEAD, describe_heads

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel

log = logging.getLogger(__name__)


@click.command(
    cls=SectionedCommand,
    epilog="Example: basnet train features/ --labels labels.csv -o model.safetensors",
)
@click.argument("features", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="CSV video,labels; ActivityNet JSON; or a folder per class (see 'basnet labels').",
)
@click.option(
    "--intervals",
    type=click.Path(path_type=Path),
    metavar="KNOWN",
    help="When actions happen, as far as it is known: CSV video,label,start,end (no end: a point; "
    "no label: nobody looked), ActivityNet JSON, or a corrected result. Instead of labels where it "
    "covers all videos.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Model file to write.",
)
@click.option(
    "--head",
    show_default=f"{TRAINED_HEAD}; basnet with --recipe or its presets",
    help=f"Method: {describe_heads()}.",
)
@click.option(
    "--preset",
    default="default",
    show_default=True,
    help="Settings of the head: default, small (for CPUs); official (of the released code; not of "
    "plus); basnet also: activitynet.",
)
@click.option(
    "--recipe",
    help="Ablation of basnet: full (the method), suppression, base or baseline.",
)
@click.option(
    "--streams",
    type=StreamList(),
    help="Use only rgb or only flow. Default: all that the features hold.",
)
@click.option(
    "--validate",
    type=click.Path(path_type=Path),
    help="Intervals of validation videos (JSON or CSV); keeps the best step.",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    help="File with one class per line, in order. Default: order of first appearance.",
)
@click.option(
    "--grid",
    metavar="FPS,LENGTH,STRIDE",
    help="Time grid of .npy features, which do not record it. Default: 25,16,16.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Equal seeds give equal models.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Training steps. Default: the preset's.")
@click.option(
    "--ensemble",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Networks in the model, seeds counting up, averaged; steadier with few videos, N times "
    "as long.",
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Train without this share of the videos (0.2) and say how well their labels are "
    "recognised.",
)
@click.option(
    "--stop-early",
    is_flag=True,
    help="With --holdout: keep the step that recognises them best, and end when it gets worse.",
)
@click.option(
    "--balanced",
    is_flag=True,
    help="Draw every class, and background, equally often, however many videos it has.",
)
@click.option(
    "--log",
    "log_to",
    type=click.Choice(["csv", "tensorboard"]),
    help="Write loss, its parts, rate and validations of each step beside the model.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@force_option
@device_option
@message_options
def train(features: Path, output: Path, force: bool, log_to: str | None, **options: Any) -> None:
    """Train a head on a folder of FEATURES by the labels of each video.

    What is known of single videos beside them (--intervals) teaches more: intervals, points, or
    that nothing happens. A video with intervals counts as looked at as a whole.

    Interrupted training continues with --resume and gives the same model as an uninterrupted run.
    """
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_folder, check_output
    from basnet_e2e.training.log_writers import log_path
    from basnet_e2e.training.train import train as run

    read = [features, *(options[name] for name in ("labels", "intervals", "validate", "classes"))]
    check_output(output, Kind.MODEL, read, force=force)
    if log_to == "csv":
        check_output(log_path(log_to, output), Kind.TRAINING_LOG, read, force=force)
    elif log_to is not None:
        check_folder(log_path(log_to, output))
    with ProgressBar("train", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        model = run(
            features,
            output=output,
            log_to=log_to,
            progress=lambda state: bar.update(
                state.step, state.steps, f"loss {state.loss:.4f}, {state.speed:.1f} steps/s"
            ),
            **options,
        )
    # A model finished by an older version does not know its videos.
    if log.isEnabledFor(logging.INFO) and "per_class" in model.training:
        show(_summary(model), to_stderr=True)


def _summary(model: "HeadModel") -> Any:
    """How many videos taught each class; the rest of the run as the title."""
    from basnet_e2e.data.annotations.video_names import counted
    from basnet_e2e.interchange.output_text import one_line

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
