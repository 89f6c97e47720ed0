"""`basnet budget`: how often and how long each class happens."""

import logging
from collections.abc import Iterable
from dataclasses import astuple, fields, replace
from pathlib import Path

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import FILE, annotation_options, force_option, results_argument
from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.files.csv_rows import csv_text
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_output
from basnet_e2e.evaluation.time_budget import Budget, time_budget
from basnet_e2e.interchange.annotated import Hints
from basnet_e2e.interchange.compared import timed_videos
from basnet_e2e.interchange.output_text import csv_cell, one_line
from weights.files import write_text

log = logging.getLogger(__name__)


@command("basnet budget results/ -o budget.csv")
@results_argument()
@click.option("-o", "--output", type=FILE, help="CSV file to write. Default: stdout.")
@annotation_options
@force_option
def budget(results: tuple[Path, ...], output: Path | None, force: bool, hints: Hints) -> None:
    """Bouts, durations, share and latency per video and class, and over all videos.

    RESULTs are results of 'basnet localize' (files or folders) or any files that 'basnet import
    labels' reads. Durations and latency are in seconds, shares in percent of the time that was
    looked at; a cell is empty if a figure is not defined.
    """
    if output is not None:
        check_output(output, Kind.BUDGET, results, force=force)
    videos = {
        video.video: video for video in timed_videos(results, replace(hints, predictions=True))
    }
    endless = [name for name, video in videos.items() if video.observed is None]
    if endless:
        log.warning(
            "no shares of %s, whose length no file says: %s",
            counted(len(endless), "video"),
            listing(endless),
        )
    text = _csv(time_budget(videos))
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    log.info("%s written (%s)", output, counted(len(videos), "video"))


def _csv(rows: Iterable[Budget]) -> str:
    table: list[list[object]] = [[field.name for field in fields(Budget)]]
    for row in rows:
        video, label, bouts, *numbers = astuple(row)
        names = [csv_cell(one_line(name)) for name in (video, label)]
        cells = ["" if value is None else f"{value:.3f}" for value in numbers]
        table.append([*names, bouts, *cells])
    return csv_text(table)
