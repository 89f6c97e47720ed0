"""`basnet try`: a first look at a person's own video, without a model of their own."""

import logging
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from basnet_e2e import intervals
from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    FOLDER,
    PATH,
    decoding_options,
    device_option,
    force_option,
    offline_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.cli.terminal.tables import new_console
from basnet_e2e.cli.terminal.timeline import show_result
from basnet_e2e.display import clock
from basnet_e2e.errors import BasnetError
from basnet_e2e.localization.inputs import VideoFile, find_inputs
from basnet_e2e.localization.localizer import Localizer
from basnet_e2e.localization.pretrained import BUILT_IN, SnippetPrediction
from basnet_e2e.localization.result_files import ResultFolder
from basnet_e2e.report.live import LiveReport
from extract.pipeline.settings import DecodeOptions

log = logging.getLogger(__name__)

INTRODUCTION = """\
{video}: looking for 400 everyday actions and sports (Kinetics-400).
The network was trained to name short clips, not to find where actions begin
and end, so this is a first impression. Its weights (50 MB) are fetched once;
the video stays on this machine."""
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


@command("basnet try video.mp4", name="try")
@click.argument("video", type=PATH)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=FOLDER,
    help="Folder for result and page. Default: NAME-actions here.",
)
@decoding_options
@force_option
@device_option
@offline_option
def try_(
    video: Path, output: Path | None, force: bool, device: str, decoding: DecodeOptions
) -> None:
    """Say which of 400 actions happen in VIDEO and when, without any training.

    Says what each part of the video looks like while the rest is computed, then the intervals, a
    page that shows them, and what to do next with your own videos and actions.
    """
    if video.is_file():
        log.info(INTRODUCTION.format(video=video))  # before torch is imported
    source = _the_video(video)
    folder = output or Path(f"{source.id}-actions")
    results = ResultFolder(folder, "json", [source], [video], force=force)
    page, made = folder / f"{source.id}.html", folder / f"{source.id}.json"
    with LiveReport(page, [source], lambda _: made, many=False, force=force) as report:
        localizer = Localizer(
            BUILT_IN,
            device=device,
            **asdict(decoding),
            on_snippet=SnippetMessages(),
            on_open=report.on_open,
            on_prediction=report.on_prediction,
        )
        with StepProgress(source.id) as bar:
            found = localizer.localize_input(source, bar.update)
        result = intervals.Selection().of(found)
        results.add(source, result)
        results.close([], [])
        report.add(source, result)
        report.write([])
    named = shlex.quote(str(video))
    if result.intervals:
        click.echo()
        show_result(result.to_json(), new_console())
    else:
        click.echo(NOTHING.format(video=named))
    click.echo(PAGE.format(page=page))
    click.echo(NEXT_STEPS.format(video=named))


def _the_video(path: Path) -> VideoFile:
    """The one video that the command is given.

    Raises:
        BasnetError: it is a folder or holds features.
        ExtractError: there is no such file.
    """
    if path.is_dir():
        raise BasnetError(f"{path}: a folder; 'basnet try' takes one video, 'localize' many")
    (source,) = find_inputs([path])
    if not isinstance(source, VideoFile):
        raise BasnetError(f"{path}: not a video; features are for 'basnet localize'")
    return source


class SnippetMessages:
    """Says what a video looks like from here on, whenever that changes."""

    def __init__(self) -> None:
        self._last: str | None = None

    def __call__(self, snippet: SnippetPrediction) -> None:
        """Take the next snippet."""
        sure = snippet.probability >= intervals.MIN_SCORE
        text = snippet.label if sure else "nothing that stands out"
        if text == self._last:
            return
        self._last = text
        tail = f" ({snippet.probability:.2f})" if sure else ""
        log.info("  from %s  %s%s", clock(snippet.start), text, tail)
