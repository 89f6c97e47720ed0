"""`basnet try`: a first look at a person's own video, without a model of their own."""

import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import (
    decoding_options,
    device_option,
    force_option,
    message_options,
    offline_option,
)
from basnet_e2e.cli.terminal.progress import ProgressBar
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from basnet_e2e.intervals import Localization
    from basnet_e2e.localization.inputs import VideoFile
    from basnet_e2e.localization.pretrained import SnippetPrediction

log = logging.getLogger(__name__)

INTRODUCTION = """\
{video}: looking for 400 everyday actions and sports (Kinetics-400).
The network was trained to name short clips and never to find where actions
begin and end, so this is a first impression. Its weights (50 MB) are fetched
once; the video stays on this machine."""
NEXT_STEPS = """\
Next, your own actions: some videos of each, and for each video which actions
occur in it (not when).
  basnet extract VIDEOS -o features
  basnet labels features -o labels.csv       then fill labels.csv in
  basnet train features --labels labels.csv -o model.safetensors
  basnet localize {video} -m model.safetensors"""
PAGE = """\
The video, what the network saw at each moment, and a way to correct what was
found, in a page to open in a browser:
  {page}
"""
NOTHING = """\
None of the 400 actions stands out. What comes nearest:
  basnet localize {video} --min-score 0.02"""


@click.command("try", cls=SectionedCommand, epilog="Example: basnet try video.mp4")
@click.argument("video", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for result and page. Default: NAME-actions here.",
)
@decoding_options
@force_option
@device_option
@offline_option
@message_options
def try_(
    video: Path,
    output: Path | None,
    force: bool,
    device: str,
    decoder: str,
    stall: float,
    keep_partial: bool,
) -> None:
    """Say which of 400 actions happen in VIDEO and when, without any training.

    Says what each part of the video looks like while the rest is computed, then the intervals, a
    page that shows them, and what to do next with your own videos and actions.
    """
    if video.is_file():
        log.info(INTRODUCTION.format(video=video))  # before imports that take a second
    from basnet_e2e.intervals import Selection
    from basnet_e2e.localization.localizer import BUILT_IN, Localizer
    from basnet_e2e.localization.result_files import ResultFolder
    from basnet_e2e.report.live import LiveReport

    source = _the_video(video)
    folder = output or Path(f"{source.id}-actions")
    results = ResultFolder(folder, "json", [source], [video], force=force)
    page, made = folder / f"{source.id}.html", folder / f"{source.id}.json"
    with LiveReport(page, [source], lambda _: made, many=False, force=force) as report:
        localizer = Localizer(
            BUILT_IN,
            device=device,
            decoder=decoder,
            keep_partial=keep_partial,
            stall=stall,
            on_snippet=Teller(),
            on_open=report.on_open,
            on_prediction=report.on_prediction,
        )
        with ProgressBar("try", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
            bar.restart(source.id)
            result = Selection().of(localizer.localize_input(source, bar.update))
        results.add(source, result)
        results.close([], [])
        report.add(source, result)
        report.write([])
    _show(result, video, page)


def _the_video(path: Path) -> "VideoFile":
    """The one video that the command is given.

    Raises:
        BasnetError: it is a folder or holds features.
        ExtractError: there is no such file.
    """
    from basnet_e2e.errors import BasnetError
    from basnet_e2e.localization.inputs import VideoFile, find_inputs

    if path.is_dir():
        raise BasnetError(f"{path}: a folder; 'basnet try' takes one video, 'localize' many")
    (source,) = find_inputs([path])
    if not isinstance(source, VideoFile):
        raise BasnetError(f"{path}: no video; features are for 'basnet localize'")
    return source


class Teller:
    """Says what a video looks like from here on, whenever that changes."""

    def __init__(self) -> None:
        self._said: str | None = None

    def __call__(self, snippet: "SnippetPrediction") -> None:
        """Take in the next snippet."""
        from basnet_e2e.intervals import MIN_SCORE

        sure = snippet.probability >= MIN_SCORE
        text = snippet.label if sure else "nothing that stands out"
        if text == self._said:
            return
        self._said = text
        tail = f" ({snippet.probability:.2f})" if sure else ""
        log.info("  from %s  %s%s", clock(snippet.start), text, tail)


def _show(result: "Localization", video: Path, page: Path) -> None:
    """The intervals as lanes and a table, the page, and what to do next."""
    from rich.console import Console

    from basnet_e2e.cli.terminal.tables import width
    from basnet_e2e.cli.terminal.timeline import show_result

    if result.intervals:
        console = Console(
            file=sys.stdout, width=width(), markup=False, emoji=False, highlight=False
        )
        click.echo()
        show_result(result.to_json(), console)
    else:
        click.echo(NOTHING.format(video=shlex.quote(str(video))))
    click.echo(PAGE.format(page=page))
    click.echo(NEXT_STEPS.format(video=shlex.quote(str(video))))
