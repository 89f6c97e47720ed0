"""`basnet report`: results as pages to look at, to search and to correct."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.commands.report_pictures import draw_picture, picture_options
from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import force_option, message_options
from basnet_e2e.cli.terminal.progress import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from basnet_e2e.data.annotations.annotations import GroundTruth
    from basnet_e2e.report.gather import Result

log = logging.getLogger(__name__)


@click.command(
    cls=SectionedCommand,
    epilog="Example: basnet report result.json --videos videos/ -o result.html",
)
@click.argument(
    "results", nargs=-1, required=True, metavar="RESULT...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="PAGE.html|DIR|PICTURE",
    type=click.Path(path_type=Path),
    help="Page of one video, a folder with a list and a page for each, or a picture.",
)
@click.option(
    "--videos",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the videos. Default: beside the results.",
)
@click.option(
    "--ground-truth",
    type=click.Path(path_type=Path),
    help="Annotated intervals to show below those found.",
)
@click.option(
    "--subset", help="Subset of the ground truth. Default: test or validation, whichever it has."
)
@click.option("--embed", is_flag=True, help="Put the videos into the pages.")
@picture_options
@force_option
@message_options
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
    from basnet_e2e.report.gather import Gatherer, find_results
    from basnet_e2e.report.pages.site import check_target, write_report

    found, failed = find_results(results)
    gatherer = Gatherer(videos, _ground_truth(ground_truth, subset, found))
    read = [*(result.path for result in found), ground_truth, *gatherer.videos]
    check_target(output, [result.id for result in found], read, force=force)
    with ProgressBar("report", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        written = write_report(
            found, gatherer.report, output, failed, embed=embed, progress=bar.update
        )
    log.info("%s written%s", written, f" ({len(found)} videos)" if len(found) > 1 else "")


def _ground_truth(
    path: Path | None, subset: str | None, results: "Sequence[Result]"
) -> "GroundTruth | None":
    """Annotated intervals, with a warning for the results they say nothing of."""
    if path is None:
        return None
    from basnet_e2e.data.annotations.annotations import read_ground_truth
    from basnet_e2e.data.annotations.video_names import listing, match_ids

    truth = read_ground_truth(path, subset)
    unknown = match_ids(truth.videos, [result.id for result in results]).unnamed
    if unknown:
        part = f", subset {truth.subset}," if truth.subset else ""
        log.warning("%s%s says nothing of %s", path, part, listing(unknown))
    return truth
