"""`basnet agreement`: how far two annotations of the same videos agree."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import PATH, Seconds, annotation_options, score_options
from basnet_e2e.cli.terminal.tables import new_table, show, width
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.evaluation.agreement import Agreement, Score
from basnet_e2e.evaluation.agreement import agreement as compare
from basnet_e2e.interchange.annotated import Hints
from basnet_e2e.interchange.compared import paired

CELL = 10  # columns per number of the confusion


@command("basnet agreement anna.boris bert.boris")
@click.argument("first", metavar="A", type=PATH)
@click.argument("second", metavar="B", type=PATH)
@click.option(
    "--step",
    type=Seconds(min=0.001),
    default=0.1,
    show_default=True,
    help="Compare what happens once per step; shorter is finer and slower.",
)
@score_options
@annotation_options
def agreement(
    first: Path, second: Path, step: float, draws: int, as_json: bool, hints: Hints
) -> None:
    """Cohen's kappa of two annotations: people and people, or people and a model.

    A and B are any files that 'basnet import labels' reads, results of 'basnet localize', or ground
    truth. With --observation twice, the first is read from A and the second from B.
    """
    names = hints.observations
    if len(names) > 2:
        raise click.UsageError("--observation is given once for both files, or once for each")
    chosen = [
        replace(hints, predictions=True, observations=names[k : k + 1] or names[:1]) for k in (0, 1)
    ]
    pairs = paired((first, chosen[0]), (second, chosen[1]))
    found = compare(list(pairs.values()), step, draws)
    if as_json:
        document = {"videos": list(pairs), "step": step, **found.to_json()}
        click.echo(json_text(document), nl=False)
        return
    show(_scores(found, len(pairs), step))
    columns = len(found.categories)
    if columns > max((width() - 20) // (CELL + 1), 2):
        click.echo(f"\nThe confusion of {columns} categories is too wide to show; see --json.")
    elif columns > 1:
        click.echo()
        show(_confusion(found))


def _scores(found: Agreement, videos: int, step: float) -> Any:
    compared = f"{found.seconds:.1f} s of {counted(videos, 'video')}"
    title = f"Cohen's kappa over {compared} in steps of {step:g} s"
    table = new_table(title, "class", "kappa", "95 %", "agreement %")
    for name, score in found.classes.items():
        table.add_row(name, *_cells(score))
    table.add_section()
    table.add_row("over all", *_cells(found.overall))
    return table


def _cells(score: Score) -> list[str]:
    bounds = "" if score.low is None else f"{score.low:.3f} - {score.high:.3f}"
    kappa = "-" if score.kappa is None else f"{score.kappa:.3f}"
    return [kappa, bounds, "-" if score.percent is None else f"{score.percent:.1f}"]


def _confusion(found: Agreement) -> Any:
    table = new_table("Seconds by what A (rows) and B (columns) say", "A \\ B")
    for name in found.categories:
        table.add_column(name, justify="right", overflow="fold")
    for name, row in zip(found.categories, found.confusion, strict=True):
        table.add_row(name, *(f"{value:.1f}" for value in row))
    return table
