"""`basnet labels`: a label file to fill in, and what a filled one means for these videos."""

import logging
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import FILE, PATH
from basnet_e2e.cli.terminal.tables import new_table, show, show_text
from basnet_e2e.data.annotations.csv_tables import label_table
from basnet_e2e.data.annotations.label_matching import LabelMatches, nothing_to_learn
from basnet_e2e.data.annotations.training_videos import TrainingVideos, match_training
from basnet_e2e.data.annotations.video_names import counted, listing, nearest, without_suffix
from basnet_e2e.data.features.folder_ids import FolderIds, find_ids
from basnet_e2e.errors import BasnetError
from basnet_e2e.training.known_times import read_any_times
from extract.features.failure_lists import read_failures
from weights.files import write_text

log = logging.getLogger(__name__)
BACKGROUND = "(background only)"


@command("basnet labels features/ -o labels.csv; later: basnet labels features/ --check labels.csv")
@click.argument("folder", metavar="FEATURES_OR_VIDEOS", type=PATH)
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Label file to write; one that exists is kept. Default: stdout.",
)
@click.option(
    "--check",
    "labels",
    type=PATH,
    metavar="LABELS",
    help="Check these labels instead (in any form that 'basnet train' reads).",
)
@click.option(
    "--intervals",
    type=PATH,
    metavar="KNOWN",
    help="Check these known times, as 'basnet train --intervals' reads them; with or without "
    "--check.",
)
@click.option("--force", is_flag=True, help="Replace a label file that exists.")
def labels(
    folder: Path, output: Path | None, labels: Path | None, intervals: Path | None, force: bool
) -> None:
    """Write a template of labels for a folder, or check labels with --check.

    The template has a row for each video, to fill in which actions occur in it. A check shows the
    videos of each class with their points, intervals and minutes that nobody looked at, which row
    matches which video and how, and what is left over; exit code 2 means that 'basnet train' would
    refuse these labels.
    """
    if labels is None and intervals is None:
        _write_template(folder, output, force)
    elif output is not None:
        raise click.UsageError("-o writes a template and --check reads labels; give one of them")
    else:
        _check(folder, labels, intervals, find_ids(folder))


def _write_template(folder: Path, output: Path | None, force: bool) -> None:
    if output is not None and without_suffix(output.name) != output.name:
        raise BasnetError(f"{output}: labels are a CSV file, name it so, such as labels.csv")
    if output is not None and output.exists() and not force:
        raise BasnetError(
            f"{output}: exists, and labels may be filled in there; --force replaces it, --check "
            "looks through it"
        )
    ids = find_ids(folder).all
    text = label_table(dict.fromkeys(ids, ()))
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    log.info(
        "%s written, %s: fill in the actions of each, several separated by ';'; a row left empty "
        "says that none occurs",
        output,
        counted(len(ids), "video"),
    )


def _check(folder: Path, path: Path | None, intervals: Path | None, ids: FolderIds) -> None:
    kind, known = ("features", ids.features) if ids.features else ("a file", ids.videos)
    times = read_any_times(intervals)
    both = match_training(path, times, known, str(folder), read_failures(folder), what=kind)
    for found in both.matches:
        show_text(
            f"{len(found.matches.found)} of {counted(len(found.labels.videos), 'row')} match a "
            f"video, {len(found.by_id)} of {counted(len(known), 'video')} with {kind} have a row\n"
        )
    tables = [_class_table(both), *map(_row_table, both.matches)]
    tables += map(_left_over_table, both.matches)
    show(*(table for table in tables if table.row_count))
    mistakes = both.mistakes()
    problem = nothing_to_learn(list(both.by_id.values()))
    has_intervals = any(times.intervals for times in both.times.values())
    if problem is not None and not mistakes and not has_intervals:
        mistakes.append(f"{both.source}: {problem}")
    for mistake in mistakes:
        log.error("%s", mistake)
    if mistakes:
        raise click.exceptions.Exit(2)
    then = "'basnet train' can learn from these labels"
    log.info("%s", then if ids.features else f"{then} once 'basnet extract' has made features")


def _class_table(both: TrainingVideos) -> Any:
    """Videos of each class, and what is known of when; one with several labels counts for each."""
    columns = ["videos", *(["points", "intervals", "unknown min"] if both.times else [])]
    shown = new_table("Videos by class", "class", *columns)
    rows = {
        name: [video for video in both.by_id if name in both.by_id[video]] for name in both.classes
    }
    rows[BACKGROUND] = [video for video, names in both.by_id.items() if not names]
    for name, videos in rows.items():
        cells = [str(len(videos))]
        if both.times:
            known = [both.times[video] for video in videos if video in both.times]
            cells += [
                str(sum(one.label == name for times in known for one in getattr(times, kind)))
                for kind in ("points", "intervals")
            ]
            unknown = sum(one.length for times in known for one in times.unknown)
            cells.append(f"{unknown / 60:.1f}")
        if videos or name != BACKGROUND:
            shown.add_row(name, *cells)
    return shown


def _row_table(found: LabelMatches) -> Any:
    shown = new_table("Rows that match a video", "row")
    shown.add_column("video", overflow="fold")
    shown.add_column("by", no_wrap=True)
    shown.add_column("labels", overflow="fold")
    for name, video_id in found.matches.found.items():
        labels = "; ".join(found.labels.videos[name]) or BACKGROUND
        shown.add_row(name, video_id, str(found.matches.kinds[name]), labels)
    return shown


def _left_over_table(found: LabelMatches) -> Any:
    shown = new_table("Left over", "name")
    shown.add_column("what it is", overflow="fold")
    for name, candidates in found.matches.ambiguous.items():
        shown.add_row(name, f"row that could mean {listing(candidates)}")
    for name in found.unknown:
        near = nearest(name, found.ids)
        shown.add_row(name, "row of no video" + (f"; did you mean '{near}'?" if near else ""))
    for name in found.failed:
        shown.add_row(name, "row of a video that could not be extracted")
    for video_id in found.matches.unnamed:
        shown.add_row(video_id, "video without a row, not trained on")
    return shown
