"""`basnet import`: labels out of the tools in which people annotate."""

import logging
from fractions import Fraction
from pathlib import Path

import click

from basnet_e2e.cli.options import force_option, frame_rate_option, message_options

log = logging.getLogger(__name__)


@click.group(name="import")
def import_() -> None:
    """Read what people annotated in other tools."""


@import_.command(epilog="Example: basnet import labels project.json -o labels.csv")
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
    metavar="GT.json",
    help="Also write the intervals, as 'basnet evaluate --ground-truth' reads them.",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    help="The videos, for FiftyOne's detections that are counted in frames.",
)
@frame_rate_option("Frames a second that Label Studio counted, where its export does not say.")
@force_option
@message_options
def labels(
    files: tuple[Path, ...],
    output: Path,
    intervals: Path | None,
    videos: Path | None,
    fps: Fraction | None,
    force: bool,
) -> None:
    """Read labels out of Label Studio, ELAN, FiftyOne, VIA or a corrected result."""
    from basnet_e2e.data.annotations.video_names import counted
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_output
    from basnet_e2e.interchange.annotated import Help, ground_truth, labels_csv
    from basnet_e2e.interchange.json_text import json_text
    from basnet_e2e.interchange.readers import read_annotations
    from weights.files import write_text

    check_output(output, Kind.LABELS, files, force=force)
    if intervals is not None:
        check_output(intervals, Kind.ANNOTATIONS, files, force=force)
    found = read_annotations(files, Help(fps, videos))
    write_text(output, labels_csv(found))
    classes = {label for video in found for label in video.labels}
    empty = sum(not video.labels for video in found)
    log.info(
        "%s written: %s, %s, %s without any",
        output,
        counted(len(found), "video"),
        counted(len(classes), "class"),
        counted(empty, "video"),
    )
    if intervals is not None:
        write_text(intervals, json_text(ground_truth(found)))
        count = sum(len(video.intervals) for video in found)
        log.info("%s written: %s", intervals, counted(count, "interval"))
