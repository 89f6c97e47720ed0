"""`basnet evaluate`: predicted intervals against annotated ones."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import PATH, score_options, subset_option
from basnet_e2e.cli.terminal.tables import new_table, show, width
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.evaluation import analysis
from basnet_e2e.evaluation.evaluate import Table, parse_tious, prepare, score

log = logging.getLogger(__name__)
DETAIL_TIOU = 0.5
STATED = (0.5, 0.75, 0.95)
LONGEST_NAME = 30  # columns for a class name before it goes over several lines
NUMBER = 7  # columns of one number and the gap after it


@command("basnet evaluate result.json --ground-truth gt.json --subset test")
@click.argument("predictions", type=PATH)
@click.option(
    "--ground-truth",
    required=True,
    type=PATH,
    help="Annotated intervals: ActivityNet-style JSON, or CSV video,label,start,end.",
)
@subset_option
@click.option(
    "--tiou",
    default="0.1:0.9:0.1",
    show_default=True,
    metavar="FIRST:LAST:STEP",
    help="Temporal IoU thresholds, both ends included, or a list: 0.3,0.5.",
)
@click.option(
    "--dedupe", is_flag=True, help="Count repeated annotations once. Default: count each."
)
@click.option(
    "--allow-trained",
    is_flag=True,
    help="Also count videos whose intervals or points the model was trained on, which makes the "
    "figures too good. Default: they are an error.",
)
@score_options
def evaluate(
    predictions: Path,
    ground_truth: Path,
    subset: str | None,
    tiou: str,
    dedupe: bool,
    allow_trained: bool,
    draws: int,
    as_json: bool,
) -> None:
    """Score intervals in PREDICTIONS (of 'basnet localize' or ActivityNet-style).

    Prints mAP per threshold with averages and 95 % confidence intervals over videos, AP per class,
    what the errors are, and results by length of the action.
    """
    tious = parse_tious(tiou)
    case = prepare(
        predictions, ground_truth, subset=subset, dedupe=dedupe, allow_trained=allow_trained
    )
    for warning in case.warnings:
        log.warning("%s", warning)
    table = score(case, tious)
    confidence = analysis.bootstrap(case, tious, draws) if draws else None
    errors = analysis.false_positives(case, DETAIL_TIOU)
    lengths = analysis.by_length(case, DETAIL_TIOU)
    classes = analysis.classification(case)
    if as_json:
        document = table.to_json() | {
            "confidence": vars(confidence) if confidence else None,
            "false_positives": vars(errors),
            "by_length": {"tiou": DETAIL_TIOU, "ranges": [vars(row) for row in lengths]},
            "classification": vars(classes) if classes else None,
        }
        click.echo(json_text(document), nl=False)
        return
    show(
        _map_table(table, confidence),
        _class_table(table),
        _error_table(errors),
        _length_table(lengths),
    )
    click.echo(f"\n{_classification_line(classes)}")


def _map_table(table: Table, confidence: analysis.Confidence | None) -> Any:
    """One row per threshold, then the averages."""
    subset = f", subset {table.subset}" if table.subset else ""
    title = (
        f"mAP in % over {counted(len(table.classes), 'class')}, "
        f"{counted(int(table.positives.sum()), 'interval')} in "
        f"{counted(table.videos, 'video')}{subset}"
    )
    columns = ["mAP", "95 % confidence"] if confidence else ["mAP"]
    shown = new_table(title, "tIoU", *columns)
    for column, tiou in enumerate(table.tious):
        bounds = (confidence.low[column], confidence.high[column]) if confidence else None
        shown.add_row(f"{tiou:g}", *_with_bounds(table.map[column], bounds))
    shown.add_section()
    for name, value in table.averages.items():
        shown.add_row(f"average {name}", f"{100 * value:.2f}")
    shown.add_row(
        "average of all", *_with_bounds(table.average, confidence.average if confidence else None)
    )
    return shown


def _with_bounds(value: float, bounds: tuple[float, float] | None) -> list[str]:
    cells = [f"{100 * value:.2f}"]
    return cells if bounds is None else [*cells, f"{100 * bounds[0]:.2f} - {100 * bounds[1]:.2f}"]


def _class_table(table: Table) -> Any:
    """AP per class: the average, and as many thresholds as fit beside the names."""
    average = table.ap.mean(axis=1)
    longest = max((len(name) for name in table.classes), default=0)
    room = width() - min(max(longest, len("class")), LONGEST_NAME) - 3 * NUMBER
    columns = thresholds_that_fit(table.tious, max(room // NUMBER, 1))
    title = "AP in % per class and tIoU"
    if len(columns) < len(table.tious):
        title += f" ({len(columns)} of {len(table.tious)}; all in --json)"
    heads = [f"{table.tious[column]:g}" for column in columns]
    shown = new_table(title, "class", "true", "mean", *heads)
    for row, name in enumerate(table.classes):
        cells = [f"{100 * table.ap[row, column]:.1f}" for column in columns]
        shown.add_row(name, str(table.positives[row]), f"{100 * average[row]:.1f}", *cells)
    return shown


def thresholds_that_fit(tious: Sequence[float], room: int) -> list[int]:
    """Which thresholds to show, in their order: those that papers state first, then evenly."""
    last = len(tious) - 1
    stated = [k for k, tiou in enumerate(tious) if any(abs(tiou - s) < 1e-9 for s in STATED)]
    even = [round(k * last / max(room - 1, 1)) for k in range(room)]
    chosen = list(dict.fromkeys([*stated, 0, last, *even, *range(last + 1)]))
    return sorted(chosen[:room])


def _error_table(errors: analysis.FalsePositives) -> Any:
    best = f"The best {analysis.EXAMINED} detections per annotated interval of a class"
    title = f"{best}, tIoU {errors.tiou:g}"
    shown = new_table(title, "kind", "number", "%")
    shown.add_column("meaning", overflow="fold")
    total = max(errors.looked_at, 1)
    shown.add_row("true", str(errors.true), f"{100 * errors.true / total:.1f}", "")
    for kind, count in errors.false.items():
        shown.add_row(kind, str(count), f"{100 * count / total:.1f}", analysis.KIND_MEANING[kind])
    return shown


def _length_table(lengths: Sequence[analysis.LengthResult]) -> Any:
    title = f"Results by length of the action, tIoU {DETAIL_TIOU:g}"
    shown = new_table(title, "seconds", "annotated", "recall %", "mAP %")
    for row in lengths:
        first, last = row.seconds
        seconds = f"above {first:g}" if last is None else f"to {last:g}"
        shown.add_row(
            seconds, str(row.ground_truth), f"{100 * row.recall:.1f}", f"{100 * row.map:.1f}"
        )
    return shown


def _classification_line(classes: analysis.Classification | None) -> str:
    if classes is None:
        return "classification: the predictions hold no video-level scores"
    return (
        f"classification of {counted(classes.videos, 'video')}: "
        f"accuracy {100 * classes.accuracy:.1f} %, "
        f"mAP {100 * classes.map:.1f} %"
    )
