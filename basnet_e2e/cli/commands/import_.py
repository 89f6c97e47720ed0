"""`basnet import`: labels from the tools in which people annotate."""

import logging
from collections.abc import Sequence
from pathlib import Path

import click

from basnet_e2e.cli.command import Group
from basnet_e2e.cli.options import FILE, annotation_options, force_option, results_argument
from basnet_e2e.data.annotations.csv_tables import label_table
from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_output
from basnet_e2e.interchange.annotated import AnnotatedVideo, Hints
from basnet_e2e.interchange.formats.known_times import known_times
from basnet_e2e.interchange.readers import read_annotations
from weights.files import write_text

log = logging.getLogger(__name__)


@click.group(name="import", cls=Group)
def import_() -> None:
    """Read what people annotated in other tools."""


@import_.command(epilog="Example: basnet import labels project.boris -o labels.csv")
@results_argument("FILE...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=FILE,
    help="Label file to write, as 'basnet train --labels' reads it.",
)
@click.option(
    "--intervals",
    type=FILE,
    metavar="KNOWN.csv|.json",
    help="Also write intervals, points and unknown stretches, as 'basnet train --intervals' reads "
    "them; if there are only intervals, 'basnet evaluate --ground-truth' reads them too.",
)
@annotation_options
@force_option
def labels(
    results: tuple[Path, ...], output: Path, intervals: Path | None, force: bool, hints: Hints
) -> None:
    """Read labels from Label Studio, ELAN, BORIS, DeepEthogram, FiftyOne, VIA or a corrected page.

    What is not understood is named, and its video left out. Times go to --intervals.
    """
    check_output(output, Kind.LABELS, results, force=force)
    if intervals is not None:
        check_output(intervals, Kind.ANNOTATIONS, results, force=force)
    found = read_annotations(results, hints)
    # A label file says that a class which it does not name does not occur.
    whole = [video for video in found if not video.unknown]
    write_text(output, label_table({video.video: video.labels for video in whole}))
    classes = {label for video in whole for label in video.labels}
    text = f"{counted(len(whole), 'video')}, {counted(len(classes), 'class')}"
    empty = [video.video for video in whole if not video.labels]
    if empty:
        text += f"; no action in {counted(len(empty), 'video')}: {listing(empty)}"
    log.info("%s written: %s", output, text)
    if intervals is not None:
        _write_times(intervals, found)
    elif len(whole) < len(found):
        parts = [video.video for video in found if video.unknown]
        _left_out(output, parts, "of which only a part was annotated; write them with --intervals")


def _write_times(path: Path, found: Sequence[AnnotatedVideo]) -> None:
    timed = [video for video in found if video.is_timed]
    write_text(path, known_times(path, timed))
    points = sum(one.length == 0 for video in timed for one in video.intervals)
    count = sum(len(video.intervals) for video in timed) - points
    unknown = sum(len(video.unknown) for video in timed)
    parts = [counted(count, "interval")]
    parts += [counted(points, "point")] if points else []
    parts += [counted(unknown, "unknown part")] if unknown else []
    log.info("%s written: %s", path, ", ".join(parts))
    untimed = [video.video for video in found if not video.is_timed]
    _left_out(path, untimed, "that have labels without times")


def _left_out(path: Path, videos: Sequence[str], why: str) -> None:
    if videos:
        count = counted(len(videos), "video")
        log.warning("%s leaves out %s %s: %s", path, count, why, listing(videos))
