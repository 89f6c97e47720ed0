"""`basnet report`: results as pages to look at, to search and to correct."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    PATH,
    Seconds,
    force_option,
    options,
    results_argument,
    subset_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.data.annotations.video_names import listing, match_ids
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_output
from basnet_e2e.report.figures.canvas import save_picture
from basnet_e2e.report.figures.registry import PICTURES, Request, find_picture
from basnet_e2e.report.gather import Gatherer, Result, find_results
from basnet_e2e.report.pages.site import check_target, write_report

log = logging.getLogger(__name__)
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")

picture_options = options(
    click.option(
        "--picture",
        type=click.Choice(list(PICTURES)),
        metavar="NAME",
        help="Draw one picture instead: video or cas (of a result with its evidence, or of "
        "features with --model), snippet (of a video), training (of a log), ethogram (of results "
        "or annotations), map (of 'evaluate --json').",
    ),
    click.option(
        "-m", "--model", type=PATH, help="With --picture: model whose view of features is drawn."
    ),
    click.option(
        "--video", metavar="ID", help="With --picture: video to draw, if there are several."
    ),
    click.option(
        "--at",
        type=Seconds(min=0),
        help="With --picture snippet: its time. Default: the middle of the video.",
    ),
    click.option(
        "--flow",
        metavar="METHOD",
        help="With --picture snippet: optical flow to draw. Default: tvl1.",
    ),
)


@command("basnet report result.json --videos videos/ -o result.html")
@results_argument()
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PAGE.html|DIR|PICTURE",
    type=PATH,
    help="Page of one video, a folder with a list and a page for each, or a picture.",
)
@click.option(
    "--videos", metavar="DIR", type=PATH, help="Folder of the videos. Default: beside the results."
)
@click.option(
    "--ground-truth", type=PATH, help="Annotated intervals to show below those that were found."
)
@subset_option
@click.option(
    "--embed",
    is_flag=True,
    help="Put the videos into the pages, which can then be moved and are as large as the videos. "
    "Default: link them.",
)
@picture_options
@force_option
def report(
    results: tuple[Path, ...],
    output: Path,
    videos: Path | None,
    ground_truth: Path | None,
    subset: str | None,
    embed: bool,
    force: bool,
    picture: str | None,
    **drawing: Any,
) -> None:
    """Make pages that show RESULT (files of 'basnet localize', or folders of them).

    A page opens from disk in any browser: player, a time axis with a lane for each class, class
    activation, foreground weight, frames, a table; intervals can be corrected in it and saved.

    With --picture, one picture for a paper instead: PNG, SVG or PDF.
    """
    if picture is not None:
        drawing |= {"ground_truth": ground_truth, "subset": subset}
        draw_picture(picture, results, output, force=force, **drawing)
        log.info("%s written", output)
        return
    given = [name for name, value in drawing.items() if value is not None]
    if given:
        raise click.UsageError(f"--{given[0]} is for pictures; name one with --picture")
    found, failed = find_results(results)
    gatherer = Gatherer(videos, _ground_truth(ground_truth, subset, found))
    read = [*(result.path for result in found), ground_truth, *gatherer.videos]
    check_target(output, [result.id for result in found], read, force=force)
    with StepProgress("report") as bar:
        written = write_report(
            found, gatherer.report, output, failed, embed=embed, progress=bar.update
        )
    log.info("%s written%s", written, f" ({len(found)} videos)" if len(found) > 1 else "")


def _ground_truth(
    path: Path | None, subset: str | None, results: Sequence[Result]
) -> GroundTruth | None:
    """Annotated intervals, with a warning about results for which there are none."""
    if path is None:
        return None
    truth = read_ground_truth(path, subset)
    unknown = match_ids(truth.videos, [result.id for result in results]).unnamed
    if unknown:
        part = f", subset {truth.subset}," if truth.subset else ""
        log.warning("%s%s says nothing of %s", path, part, listing(unknown))
    return truth


def draw_picture(
    name: str, inputs: Sequence[Path], output: Path, *, force: bool = False, **fields: Any
) -> None:
    """Draw a picture into a file.

    Args:
        name: one of ``PICTURES``.
        inputs: the files it is drawn from.
        output: .png, .svg or .pdf.
        force: replace a file of another kind.
        fields: further fields of ``Request``.

    Raises:
        BasnetError: something is missing, cannot be read, or would be overwritten.
    """
    if output.suffix.lower() not in PICTURE_SUFFIXES:
        raise click.BadParameter(f"{output} is not a picture; name a .png, .svg or .pdf file")
    request = Request(tuple(inputs), **fields)
    read = [*inputs, request.model, request.ground_truth]
    check_output(output, Kind.PICTURE, read, force=force)
    save_picture(find_picture(name).draw(request), output)
