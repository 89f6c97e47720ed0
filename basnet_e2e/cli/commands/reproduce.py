"""`basnet reproduce`: the paper's tables from published features."""

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import StreamList, device_option, force_option, message_options
from basnet_e2e.cli.terminal.progress import ProgressBar
from basnet_e2e.cli.terminal.tables import show_sheets, show_text

if TYPE_CHECKING:
    from basnet_e2e.reproduction.published import Protocol
    from basnet_e2e.reproduction.report import Report
    from basnet_e2e.reproduction.runs import Spec
    from basnet_e2e.training.loop import TrainingStep

log = logging.getLogger(__name__)
BENCHMARKS = ("thumos14", "activitynet12", "activitynet13")
RECIPES = "baseline,base,suppression,full"


def _names(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


@click.command(
    cls=SectionedCommand,
    epilog="Example: basnet reproduce thumos14 --features THUMOS14 --seeds 5 --device cuda",
)
@click.argument("benchmark", type=click.Choice(BENCHMARKS))
@click.option(
    "--features",
    "root",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with features/, gt.json and, if any, split_train.txt and split_test.txt.",
)
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="Annotations of both subsets, where they are not DIR/gt.json.",
)
@click.option(
    "--labels",
    metavar="CSV",
    type=click.Path(path_type=Path),
    help="Labels of the training videos (video,labels), where the annotations are of test videos.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the runs and the report. Default: reproduce-BENCHMARK.",
)
@click.option(
    "--preset",
    help="official, activitynet, default or small. Default: activitynet for ActivityNet, else "
    "official.",
)
@click.option(
    "--heads",
    callback=_names,
    metavar="LIST|all",
    help="Compare these methods instead: basnet,stpn,..., or all.",
)
@click.option(
    "--recipes",
    callback=_names,
    metavar="LIST",
    help=f"Rows of the ablation. Default: {RECIPES}.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Runs per row.",
)
@click.option(
    "--mend",
    "fix",
    callback=_names,
    metavar="LIST",
    help="Defects of the released code to fix in all runs: ranking,contrast,...",
)
@click.option(
    "--each-mend",
    "each_fix",
    type=click.Choice(["reading", "all"]),
    help="Also measure each fix alone, on the recipe full: those that need no training, or all.",
)
@click.option(
    "--select",
    type=click.Choice(["last", "best-on-test"]),
    default="last",
    show_default=True,
    help="best-on-test adds a column, chosen as the released code chooses; ask for it at once.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Training steps. Default: the preset's.")
@click.option(
    "--segments", type=click.IntRange(min=1), help="Segments per video (T). Default: the preset's."
)
@click.option("--streams", type=StreamList(), help="Use only rgb or only flow.")
@click.option(
    "--grid", metavar="FPS,LENGTH,STRIDE", help="Time grid of the features. Default: 25,16,16."
)
@click.option("--video", metavar="ID", help="Test video to draw. Default: one of median quality.")
@force_option
@device_option
@message_options
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
    **asked: Any,
) -> None:
    """Train the four recipes on published features and print the paper's tables beside ours.

    With --heads, train several methods instead and lay them beside each other and their papers.

    Writes report.md, report.json and pictures. Run the same command again to continue after Ctrl-C;
    finished runs are kept.
    """
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_folder, check_output
    from basnet_e2e.heads.common.devices import choose_device
    from basnet_e2e.reproduction.data import read_benchmark
    from basnet_e2e.reproduction.pictures import check_video
    from basnet_e2e.reproduction.published import PROTOCOLS
    from basnet_e2e.reproduction.runs import Runner

    folder = output or Path(f"reproduce-{benchmark}")
    check_folder(folder)
    check_output(folder / "report.json", Kind.REPORT, [root, ground_truth, labels], force=force)
    place = choose_device(device)
    wanted = PROTOCOLS[benchmark]
    shown = {"video": video, "select": None if select == "last" else select}
    study = _study(wanted, shown=shown, **asked)
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
    with ProgressBar("reproduce", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        report = study.run(runner, functools.partial(_follow, bar))
    written = report.write(folder, runner, video)
    _print(report)
    log.info("written: %s", ", ".join(map(str, written)))


def _study(
    wanted: "Protocol",
    *,
    heads: tuple[str, ...] | None,
    preset: str | None,
    shown: dict[str, str | None],
    **asked: Any,
) -> Any:
    """What is computed: BaS-Net's ablation, or a comparison of heads."""
    from basnet_e2e.reproduction.ablation import make_ablation
    from basnet_e2e.reproduction.heads import make_head_study

    given = {name: value for name, value in asked.items() if value is not None}
    if heads is None:
        return make_ablation(wanted, settings=preset, **given)
    names = {"each_fix": "each-mend", "fix": "mend"} | {
        name: name for name in ("recipes", "select", "video")
    }
    ablation = [name for name in names if {**given, **shown}.get(name) is not None]
    if ablation:
        named = ", ".join(f"--{names[name]}" for name in ablation)
        raise click.UsageError(f"{named}: of BaS-Net's ablation, not together with --heads.")
    return make_head_study(wanted, heads, settings=preset, **given)


def _follow(
    bar: ProgressBar, index: int, count: int, spec: "Spec"
) -> "Callable[[TrainingStep], None]":
    """Begin the progress of a run; what to call after each of its steps."""
    name = spec.row if spec.fix is None else f"{spec.row} with {spec.fix} fixed"
    bar.restart(f"run {index + 1}/{count}, {name}, seed {spec.seed}")

    def step(state: "TrainingStep") -> None:
        bar.update(state.step, state.steps, f"loss {state.loss:.4f}")

    return step


def _print(report: "Report") -> None:
    show_text(f"{report.settings()}.\n")
    show_sheets(report.sheets())
    for note in report.notes:
        show_text(f"Note: {note}.")
