"""`basnet localize`: videos or features to action intervals."""

import functools
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.common import StreamList, device_option, message_options, offline_option
from basnet_e2e.cli.progress import Progress

if TYPE_CHECKING:
    from basnet_e2e.intervals import Failure, Localization
    from basnet_e2e.localization.localizer import Localizer
    from basnet_e2e.localization.sources import Source

log = logging.getLogger(__name__)


@click.command(
    epilog="Example: basnet localize video.mp4 -m model.safetensors -o result.json",
)
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    metavar="VIDEO_OR_FEATURES...",
    type=click.Path(path_type=Path),
)
@click.option(
    "-m",
    "--model",
    type=click.Path(path_type=Path),
    help="Model file; the built-in kinetics400 without it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Result file; stdout without it.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["json", "activitynet"]),
    default="json",
    show_default=True,
    help="Layout of the result.",
)
@click.option(
    "--keep",
    type=click.Choice(["best", "all"]),
    default="best",
    show_default=True,
    help="best: no overlap within a class; all: every proposal, as evaluation wants them.",
)
@click.option(
    "--min-score",
    type=float,
    default=0.2,
    show_default=True,
    help="Lowest score that best keeps; below 0.2 nothing stands out from its surroundings.",
)
@click.option(
    "--min-length",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Shortest interval in seconds that best keeps.",
)
@click.option(
    "--streams", type=StreamList(), help="Streams of the built-in model (rgb without it)."
)
@click.option(
    "--grid", metavar="FPS,LENGTH,STRIDE", help="Time grid of .npy features (25,16,16 without it)."
)
@device_option
@offline_option
@message_options
def localize(
    inputs: tuple[Path, ...],
    model: Path | None,
    output: Path | None,
    layout: str,
    keep: str,
    min_score: float,
    min_length: float,
    streams: tuple[str, ...] | None,
    grid: str | None,
    device: str,
) -> None:
    """Find action intervals in videos or in feature files (or folders of either).

    The result is JSON on stdout, or in the file given with -o.
    """
    from basnet_e2e.export.table import format_results
    from basnet_e2e.intervals import keep_best
    from basnet_e2e.localization.localizer import Localizer
    from basnet_e2e.localization.sources import find_sources
    from weights.files import write_text

    sources = find_sources(inputs, grid=grid)
    localizer = Localizer(model, streams=streams, device=device)
    found, failed = _run(sources, localizer)
    if keep == "best":
        found = [
            replace(one, intervals=keep_best(one.intervals, min_score, min_length)) for one in found
        ]
    many = len(sources) > 1
    if found or many:
        text = format_results(found, failed, layout, many=many)
        if output is None:
            click.echo(text, nl=False)
        else:
            write_text(output, text)
            log.info("%s written", output)
    if failed:
        raise click.exceptions.Exit(1)


def _run(
    sources: "Sequence[Source]", localizer: "Localizer"
) -> "tuple[list[Localization], list[Failure]]":
    """Localize every source; a broken video is recorded and the rest go on."""
    from basnet_e2e.intervals import Failure
    from extract.errors import VideoError

    found: list[Localization] = []
    failed: list[Failure] = []
    with Progress("localize", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        for index, source in enumerate(sources, start=1):
            bar.restart(source.id)
            note = f"video {index}/{len(sources)}" if len(sources) > 1 else ""
            progress = functools.partial(bar.update, note=note)
            try:
                found.append(source.localize(localizer, progress))
            except VideoError as error:
                log.error("%s", error)
                failed.append(Failure(source.id, source.path.name, str(error)))
    return found, failed
