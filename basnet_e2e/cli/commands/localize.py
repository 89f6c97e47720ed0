"""`basnet localize`: videos or features to action intervals."""

import contextlib
import functools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    PATH,
    Destination,
    Seconds,
    backbone_option,
    decoding_options,
    device_option,
    feature_store_options,
    file_or_folder,
    force_option,
    grid_option,
    jobs_option,
    offline_option,
    open_store,
    precision_option,
    streams_option,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.cli.terminal.timeline import print_document
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure, Selection
from basnet_e2e.localization.inputs import Input, VideoFile, find_inputs
from basnet_e2e.localization.localizer import Localizer
from basnet_e2e.localization.result_files import ResultDocument, ResultFolder, ResultWriter, stamp
from basnet_e2e.localization.video_failures import failure_message
from basnet_e2e.report.live import LiveReport
from extract.errors import ExtractError
from extract.pipeline.settings import DecodeOptions
from extract.sources.storage import is_folder
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)


@command("basnet localize video.mp4 -m model.safetensors -o result.json")
@click.argument("inputs", nargs=-1, required=True, metavar="VIDEO_OR_FEATURES...", type=path_or_url)
@click.option(
    "-m",
    "--model",
    type=PATH,
    help="Model file. Default: the built-in kinetics400, which knows 400 actions and was not "
    "trained to find times.",
)
@click.option(
    "-o",
    "--output",
    type=file_or_folder,
    metavar="FILE|FOLDER/",
    help="Result file, or a folder with one file per video. Default: stdout.",
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
    help="best: no overlap within a class; all: every proposal, as evaluation needs them.",
)
@click.option(
    "--min-score",
    type=float,
    metavar="SCORE",
    help="Lowest score; a lower one finds more and is wrong more often. Default: 0.2 with --keep "
    "best, none with all.",
)
@click.option(
    "--min-length",
    type=Seconds(min=0),
    default=0.0,
    show_default=True,
    help="Shortest interval to keep.",
)
@streams_option("Without -m: streams that classify. Default: rgb; both take five times as long.")
@backbone_option("Without -m: network whose classifier is used (default: i3d)")
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="Without -m: look for what a text says, in place of the 400 actions; may be "
    "repeated. Needs [transformers].",
)
@grid_option
@click.option(
    "--refine",
    is_flag=True,
    help="Move borders to cuts and other abrupt changes, finer than snippets. Harmful where "
    "actions begin without one; takes up to 1.5 times as long.",
)
@click.option(
    "--report",
    "page",
    metavar="PAGE.html|DIR",
    type=PATH,
    help="Page to look at and correct the result, or a folder of pages; see 'basnet report'.",
)
@jobs_option
@decoding_options
@feature_store_options
@force_option
@precision_option(None, "the model's; float32 without -m")
@device_option
@offline_option
def localize(
    inputs: tuple[Path | Url, ...],
    model: Path | None,
    output: Destination | None,
    layout: str,
    keep: str,
    min_score: float | None,
    min_length: float,
    grid: str | None,
    page: Path | None,
    jobs: int | None,
    decoding: DecodeOptions,
    features_folder: Path | None,
    no_cache: bool,
    force: bool,
    **reading: Any,
) -> None:
    """Find action intervals in videos or in feature files (or folders of either).

    Videos may be URLs (s3://, gs://, https:// ...), each downloaded in its turn.

    The result is JSON on stdout (a table and a timeline on a terminal), or in the file given with
    -o. With -o FOLDER/ each video's result is written there as soon as it is done. What an earlier
    run left in the output is not computed again if video, model and settings are the same.
    """
    sources = find_inputs(inputs, grid=grid)
    many = len(inputs) > 1 or any(map(is_folder, inputs))
    results, report = _open_outputs(output, page, layout, sources, many, [*inputs, model], force)
    videos = [each for each in sources if isinstance(each, VideoFile)]
    features = open_store(features_folder, no_cache, videos, inputs, force=force)
    localizer = Localizer(
        model,
        **asdict(decoding),
        store=features,
        on_open=report.on_open if report else None,
        on_prediction=report.on_prediction if report else None,
        **reading,
    )
    _check(sources, localizer)
    with report or contextlib.nullcontext():
        run = _Run(sources, localizer, Selection(keep, min_score, min_length), results, report)
        try:
            run.all(jobs)
        finally:
            print_document(run.close(), readable=layout == "json")
        if report:
            with StepProgress("report") as bar:
                written = report.write(run.failed, bar.update)
            if written:
                log.info("%s written", written)
    if run.failed:
        raise click.exceptions.Exit(1)


def _open_outputs(
    output: Destination | None,
    page: Path | None,
    layout: str,
    sources: Sequence[Input],
    many: bool,
    inputs: Sequence[Path | Url | None],
    force: bool,
) -> tuple[ResultWriter, LiveReport | None]:
    """What takes the results, and the report if there is one."""
    if page and output and layout != "json":
        raise BasnetError("--report reads the result again, which needs --format json")
    results: ResultWriter
    if output and output.is_folder:
        results, many = ResultFolder(output.path, layout, sources, inputs, force=force), False
    else:
        path = output.path if output else None
        results = ResultDocument(path, layout, sources, many, inputs, force=force)
    if page is None:
        return results, None
    file_of = None if output is None else lambda source: output.file_of(source.id)
    return results, LiveReport(page, sources, file_of, many=many, inputs=inputs, force=force)


def _check(sources: Sequence[Input], localizer: Localizer) -> None:
    """Refuse to begin if no input fits the model; otherwise one that does not fails in its turn."""
    errors: list[Exception] = []
    for source in sources:
        try:
            localizer.check(source)
        except (BasnetError, ExtractError) as error:
            errors.append(error)
    if len(errors) == len(sources):
        raise errors[0]


@dataclass
class _Run:
    """Localizes sources one after the other; one that fails is recorded and the rest continue."""

    sources: Sequence[Input]
    localizer: Localizer
    selection: Selection
    results: ResultWriter
    report: LiveReport | None
    failed: list[Failure] = field(default_factory=list)
    left: list[Input] = field(init=False)

    def __post_init__(self) -> None:
        self.left = list(self.sources)

    def all(self, jobs: int | None) -> None:
        """Localize what an earlier run has not.

        Args:
            jobs: how many processes make features; None leaves it to the machine.
        """
        self.left = [source for source in self.sources if not self._is_done(source)]
        todo, count = list(self.left), len(self.sources)
        if len(todo) < count:
            log.info("%d of %d done before", count - len(todo), count)
        with self.localizer.prefetch(todo, jobs) as division, StepProgress("localize") as bar:
            if division and division.workers > 1:
                log.info("%s", division)
            for index, source in enumerate(todo, start=1):
                bar.begin(source.id)
                note = f"video {index}/{len(todo)}" if len(todo) > 1 else ""
                self._one(source, functools.partial(bar.update, note=note))
                self.left.remove(source)

    def _one(self, source: Input, progress: Any) -> None:
        if self.report:
            self.report.reset()
        try:
            made = stamp(self.localizer.made_from(source))
            found = self.localizer.localize_input(source, progress)
        except Exception as error:
            message = failure_message(error, source.path, alone=len(self.sources) == 1)
            log.error("%s", message)
            self.failed.append(Failure(source.id, source.file, message))
            return
        kept = self.selection.of(found)
        result = replace(kept, made=kept.made | made)
        self.results.add(source, result)
        if self.report:
            self.report.add(source, result)

    def _is_done(self, source: Input) -> bool:
        try:
            made = self.localizer.made_from(source)
        except OSError:
            return False  # reported in its turn
        return self.results.is_done(source, stamp(made) | self.selection.to_json())

    def close(self) -> str:
        """Write what is done, however the run ended, and say what is left.

        Returns:
            The text for stdout, if any.
        """
        text = self.results.close(self.failed, self.left)
        done, count = len(self.sources) - len(self.left), len(self.sources)
        if self.left and count > 1:
            advice = self.results.resume_hint
            log.warning("%d of %d videos are done; %s", done, count, advice)
        return text
