"""`basnet import`: labels out of the tools in which people annotate."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.annotation_options import annotation_options
from basnet_e2e.cli.help import SectionedGroup
from basnet_e2e.cli.options import force_option, message_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from basnet_e2e.interchange.annotated import AnnotatedVideo, Hints

log = logging.getLogger(__name__)


@click.group(name="import", cls=SectionedGroup)
def import_() -> None:
    """Read what people annotated in other tools."""


@import_.command(epilog="Example: basnet import labels project.boris -o labels.csv")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Label file to write, as 'basnet train --labels' reads it.",
)
@click.option(
    "--intervals",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KNOWN.csv|.json",
    help="Also write intervals, points and unknown stretches, as 'basnet train --intervals' reads "
    "them, and 'basnet evaluate --ground-truth' where there are intervals alone.",
)
@annotation_options
@force_option
@message_options
def labels(
    files: tuple[Path, ...],
    output: Path,
    intervals: Path | None,
    force: bool,
    hints: "Hints",
) -> None:
    """Read labels from Label Studio, ELAN, BORIS, DeepEthogram, FiftyOne, VIA or a corrected page.

    What is not understood is named, and its video left out. Times go to --intervals.
    """
    from basnet_e2e.data.annotations.csv_tables import label_table
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_output
    from basnet_e2e.interchange.readers import read_annotations
    from weights.files import write_text

    check_output(output, Kind.LABELS, files, force=force)
    if intervals is not None:
        check_output(intervals, Kind.ANNOTATIONS, files, force=force)
    found = read_annotations(files, hints)
    # A label file says of a class that it does not name that it does not occur.
    whole = [video for video in found if not video.unknown]
    write_text(output, label_table({video.video: video.labels for video in whole}))
    _report(output, whole)
    if intervals is not None:
        _write_times(intervals, found)
    elif len(whole) < len(found):
        parts = [video.video for video in found if video.unknown]
        _left_out(output, parts, "of which only a part was annotated; write them with --intervals")


def _report(output: Path, videos: "Sequence[AnnotatedVideo]") -> None:
    from basnet_e2e.data.annotations.video_names import counted, listing

    classes = {label for video in videos for label in video.labels}
    text = f"{counted(len(videos), 'video')}, {counted(len(classes), 'class')}"
    empty = [video.video for video in videos if not video.labels]
    if empty:
        text += f"; no action in {counted(len(empty), 'video')}: {listing(empty)}"
    log.info("%s written: %s", output, text)


def _write_times(path: Path, found: "Sequence[AnnotatedVideo]") -> None:
    from basnet_e2e.data.annotations.video_names import counted
    from basnet_e2e.interchange.formats.known_times import known_times
    from weights.files import write_text

    timed = [video for video in found if video.is_timed]
    write_text(path, known_times(path, timed))
    points = sum(one.length == 0 for video in timed for one in video.intervals)
    count = sum(len(video.intervals) for video in timed) - points
    parts = [counted(count, "interval")]
    parts += [counted(points, "point")] if points else []
    stretches = sum(len(video.unknown) for video in timed)
    parts += [counted(stretches, "unknown part")] if stretches else []
    log.info("%s written: %s", path, ", ".join(parts))
    _left_out(
        path,
        [video.video for video in found if not video.is_timed],
        "that have labels without times",
    )


def _left_out(path: Path, videos: "Sequence[str]", why: str) -> None:
    from basnet_e2e.data.annotations.video_names import counted, listing

    if videos:
        log.warning(
            "%s leaves out %s %s: %s", path, counted(len(videos), "video"), why, listing(videos)
        )
