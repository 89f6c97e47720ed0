"""`basnet budget`: how often and how long each class happens."""

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.annotation_options import annotation_options
from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import force_option, message_options

if TYPE_CHECKING:
    from basnet_e2e.evaluation.time_budget import Budget
    from basnet_e2e.interchange.annotated import Hints

log = logging.getLogger(__name__)
HEADER = "video,label,bouts,total,mean,median,share,latency"


@click.command(cls=SectionedCommand, epilog="Example: basnet budget results/ -o budget.csv")
@click.argument(
    "results", nargs=-1, required=True, metavar="RESULT...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file to write. Default: stdout.",
)
@annotation_options
@force_option
@message_options
def budget(results: tuple[Path, ...], output: Path | None, force: bool, hints: "Hints") -> None:
    """Bouts, durations, share and latency per video and class, and over all videos.

    RESULTs are results of 'basnet localize' (files or folders) or any files that 'basnet import
    labels' reads. Durations and latency are seconds, shares percent of the time that was looked at;
    a cell is empty where a figure is not defined.
    """
    from basnet_e2e.data.annotations.video_names import counted, listing
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_output
    from basnet_e2e.evaluation.time_budget import time_budget
    from basnet_e2e.interchange.compared import timed_videos
    from weights.files import write_text

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


def _csv(rows: "list[Budget]") -> str:
    from basnet_e2e.data.files.csv_rows import csv_text
    from basnet_e2e.interchange.output_text import csv_cell, one_line

    cells: list[list[object]] = [[*HEADER.split(",")]]
    for row in rows:
        values = [getattr(row, field.name) for field in fields(row)]
        names = [csv_cell(one_line(name)) for name in values[:2]]
        numbers = ["" if value is None else f"{value:.3f}" for value in values[3:]]
        cells.append([*names, row.bouts, *numbers])
    return csv_text(cells)
