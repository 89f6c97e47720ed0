"""`basnet reproduce`: the paper's tables from published features."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    COUNT,
    FOLDER,
    PATH,
    device_option,
    force_option,
    grid_option,
    streams_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.cli.terminal.tables import show_sheets, show_text
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_folder, check_output
from basnet_e2e.reproduction.data import read_benchmark
from basnet_e2e.reproduction.published import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from basnet_e2e.reproduction.runs import Spec
    from basnet_e2e.training.loop import TrainingStep

log = logging.getLogger(__name__)
BENCHMARKS = ("thumos14", "activitynet12", "activitynet13")
RECIPES = "baseline,base,suppression,full"
# Options of the ablation alone, by the name of their value.
ABLATION = {"recipes": "recipes", "fix": "mend", "each_fix": "each-mend"}


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


@command("basnet reproduce thumos14 --features THUMOS14 --seeds 5 --device cuda")
@click.argument("benchmark", type=click.Choice(BENCHMARKS))
@click.option(
    "--features",
    "root",
    required=True,
    metavar="DIR",
    type=PATH,
    help="Folder with features/, gt.json and, if any, split_train.txt and split_test.txt.",
)
@click.option(
    "--ground-truth", type=PATH, help="Annotations of both subsets. Default: DIR/gt.json."
)
@click.option(
    "--labels",
    metavar="CSV",
    type=PATH,
    help="Labels of the training videos (video,labels), if only test videos are annotated.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    help="Folder of the runs and the report. Default: reproduce-BENCHMARK.",
)
@click.option(
    "--preset",
    metavar="NAME",
    help="official, activitynet, default or small. Default: activitynet for ActivityNet, else "
    "official.",
)
@click.option(
    "--heads",
    type=_names,
    metavar="LIST|all",
    help="Compare these methods instead of the ablation: basnet,stpn,..., or all.",
)
@click.option(
    "--recipes", type=_names, metavar="LIST", help=f"Rows of the ablation. Default: {RECIPES}."
)
@click.option(
    "--seeds",
    type=COUNT,
    default=1,
    show_default=True,
    help="Runs per row; more show how much figures vary and take N times as long.",
)
@click.option(
    "--mend",
    "fix",
    type=_names,
    metavar="LIST",
    help="Defects of the released code to fix in all runs: ranking,contrast,... Default: none.",
)
@click.option(
    "--each-mend",
    "each_fix",
    type=click.Choice(["reading", "all"]),
    help="Also measure each fix alone, on the recipe full. reading: fixes that need no training; "
    "all: every fix. Default: none.",
)
@click.option(
    "--select",
    type=click.Choice(["last", "best-on-test"]),
    default="last",
    show_default=True,
    help="best-on-test adds a column, chosen on the test videos as the released code does; it must "
    "be asked for in the first run.",
)
@click.option("--steps", type=COUNT, help="Training steps. Default: the preset's.")
@click.option("--segments", type=COUNT, help="Segments per video (T). Default: the preset's.")
@streams_option("Use only rgb or only flow. Default: both.")
@grid_option
@click.option("--video", metavar="ID", help="Test video to draw. Default: one of median quality.")
@force_option
@device_option
def reproduce(
    benchmark: str,
    root: Path,
    ground_truth: Path | None,
    labels: Path | None,
    output: Path | None,
    select: str,
    streams: tuple[str, ...] | None,
    grid: str | None,
    device: str,
    video: str | None,
    force: bool,
    **chosen: Any,
) -> None:
    """Train the four recipes on published features and print the paper's tables beside ours.

    With --heads, train several methods instead and compare them with each other and their papers.

    Writes report.md, report.json and pictures. Run the same command to continue after Ctrl-C;
    finished runs are kept.
    """
    from basnet_e2e.heads.common.devices import choose_device
    from basnet_e2e.reproduction.pictures import check_video
    from basnet_e2e.reproduction.runs import Runner

    folder = output or Path(f"reproduce-{benchmark}")
    check_folder(folder)
    check_output(folder / "report.json", Kind.REPORT, [root, ground_truth, labels], force=force)
    place = choose_device(device)
    wanted = PROTOCOLS[benchmark]
    study = _study(wanted, select=select, video=video, **chosen)
    data = read_benchmark(
        root, wanted, ground_truth=ground_truth, labels=labels, streams=streams, grid=grid
    )
    study = replace(study, protocol=data.protocol)
    for note in data.notes:
        log.warning("%s", note)
    if video is not None:
        check_video(data.test, video)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    best = select == "best-on-test"
    runner = Runner(folder / "runs", data, wanted.tious, best_on_test=best, device=place)
    with StepProgress("reproduce") as bar:
        report = study.run(runner, functools.partial(_follow, bar))
    written = report.write(folder, runner, video)
    show_text(f"{report.settings()}.\n")
    show_sheets(report.sheets())
    for note in report.notes:
        show_text(f"Note: {note}.")
    log.info("written: %s", ", ".join(map(str, written)))


def _study(
    wanted: Protocol,
    *,
    heads: tuple[str, ...] | None,
    preset: str | None,
    select: str,
    video: str | None,
    **chosen: Any,
) -> Any:
    """What is computed: BaS-Net's ablation, or a comparison of heads."""
    from basnet_e2e.reproduction.ablation import make_ablation
    from basnet_e2e.reproduction.heads import make_head_study

    given = {name: value for name, value in chosen.items() if value is not None}
    if heads is None:
        return make_ablation(wanted, settings=preset, **given)
    ablation = [option for name, option in ABLATION.items() if name in given]
    ablation += ["select"] * (select != "last") + ["video"] * (video is not None)
    if ablation:
        named = ", ".join(f"--{option}" for option in ablation)
        raise click.UsageError(f"{named}: for BaS-Net's ablation, not together with --heads.")
    return make_head_study(wanted, heads, settings=preset, **given)


def _follow(
    bar: StepProgress, index: int, count: int, spec: "Spec"
) -> "Callable[[TrainingStep], None]":
    """Begin the progress of a run; what to call after each of its steps."""
    name = spec.row if spec.fix is None else f"{spec.row} with {spec.fix} fixed"
    bar.begin(f"run {index + 1}/{count}, {name}, seed {spec.seed}")
    return lambda state: bar.update(state.step, state.steps, f"loss {state.loss:.4f}")
