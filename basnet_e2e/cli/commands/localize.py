"""`basnet localize`: videos or features to action intervals."""

import contextlib
import functools
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import (
    Destination,
    FileOrFolder,
    PathOrUrl,
    StreamList,
    check_kept_features,
    decoding_options,
    device_option,
    feature_store_options,
    force_option,
    jobs_option,
    message_options,
    offline_option,
    precision_option,
)
from basnet_e2e.cli.terminal.progress import ProgressBar

if TYPE_CHECKING:
    from basnet_e2e.intervals import Failure, Selection
    from basnet_e2e.localization.inputs import Input
    from basnet_e2e.localization.localizer import Localizer
    from basnet_e2e.localization.result_files import ResultWriter
    from basnet_e2e.report.live import LiveReport
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


@click.command(
    cls=SectionedCommand,
    epilog="Example: basnet localize video.mp4 -m model.safetensors -o result.json",
)
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    metavar="VIDEO_OR_FEATURES...",
    type=PathOrUrl(),
)
@click.option(
    "-m",
    "--model",
    type=click.Path(path_type=Path),
    help="Model file. Default: the built-in kinetics400, 400 actions and untrained for times.",
)
@click.option(
    "-o",
    "--output",
    type=FileOrFolder(),
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
    help="best: no overlap within a class; all: every proposal, as evaluation wants them.",
)
@click.option(
    "--min-score",
    type=float,
    help="Lowest score; lower finds more and errs more. Default: 0.2 with --keep best, none with "
    "all.",
)
@click.option(
    "--min-length",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Shortest interval, in seconds.",
)
@click.option(
    "--streams",
    type=StreamList(),
    help="Without -m: streams that classify. Default: rgb; both take five times as long.",
)
@click.option(
    "--backbone",
    help="Without -m: network whose classifier is used, see 'basnet weights list'. Default: i3d.",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="Without -m: look for what a text says; may be repeated. Needs [transformers].",
)
@click.option(
    "--grid",
    metavar="FPS,LENGTH,STRIDE",
    help="Time grid of .npy features, which do not record it. Default: 25,16,16.",
)
@click.option(
    "--refine",
    is_flag=True,
    help="Move borders to where the video changes, finer than snippets; looks closer there, "
    "which takes up to 1.5 times as long.",
)
@click.option(
    "--report",
    "page",
    metavar="PAGE.html|DIR",
    type=click.Path(path_type=Path),
    help="Page to look at and correct the result, or a folder of pages; see 'basnet report'.",
)
@jobs_option
@decoding_options
@feature_store_options
@force_option
@precision_option(None, "the model's; float32 without -m")
@device_option
@offline_option
@message_options
def localize(
    inputs: "tuple[Path | Url, ...]",
    model: Path | None,
    output: Destination | None,
    layout: str,
    streams: tuple[str, ...] | None,
    backbone: str | None,
    prompts: tuple[str, ...],
    grid: str | None,
    refine: bool,
    page: Path | None,
    jobs: int | None,
    force: bool,
    device: str,
    precision: str | None,
    decoder: str,
    keep_partial: bool,
    stall: float,
    features_folder: Path | None,
    no_cache: bool,
    **selection: Any,
) -> None:
    """Find action intervals in videos or in feature files (or folders of either).

    Videos may be URLs (s3://, gs://, https:// ...), each fetched while it is worked on.

    The result is JSON on stdout (a table and a timeline on a terminal), or in the file given with
    -o. With -o and a folder each video has a file there as soon as it is done. What an earlier run
    left in the output is not computed again where video, model and settings are the same.
    """
    from basnet_e2e.intervals import Selection
    from basnet_e2e.localization.inputs import VideoFile, find_inputs
    from basnet_e2e.localization.localizer import Localizer
    from extract.jobs.store import choose_store
    from extract.sources.storage import is_folder

    sources = find_inputs(inputs, grid=grid)
    many = len(inputs) > 1 or any(map(is_folder, inputs))
    results = _open_results(output, layout, sources, many, [*inputs, model], force)
    if features_folder is not None:
        videos = [each for each in sources if isinstance(each, VideoFile)]
        check_kept_features(features_folder, videos, inputs, force)
    report = _open_report(page, output, layout, sources, many, [*inputs, model], force)
    localizer = Localizer(
        model,
        streams=streams,
        backbone=backbone,
        prompts=prompts,
        device=device,
        precision=precision,
        decoder=decoder,
        keep_partial=keep_partial,
        stall=stall,
        store=choose_store(features_folder, no_cache),
        on_open=report.on_open if report else None,
        on_prediction=report.on_prediction if report else None,
        refine=refine,
    )
    _check(sources, localizer)
    with report or contextlib.nullcontext():
        run = _Run(
            sources,
            localizer,
            Selection(**selection),
            results,
            report,
            readable=layout == "json",
        )
        try:
            run.all(jobs)
        finally:
            run.close()
        if report:
            _write_report(report, run.failed)
    if run.failed:
        raise click.exceptions.Exit(1)


def _open_results(
    output: Destination | None,
    layout: str,
    sources: "Sequence[Input]",
    many: bool,
    inputs: "Sequence[Path | Url | None]",
    force: bool,
) -> "ResultWriter":
    from basnet_e2e.localization.result_files import ResultDocument, ResultFolder

    if output is not None and output.is_folder:
        return ResultFolder(output.path, layout, sources, inputs, force=force)
    path = output.path if output else None
    return ResultDocument(path, layout, sources, many, inputs, force=force)


def _open_report(
    page: Path | None,
    output: Destination | None,
    layout: str,
    sources: "Sequence[Input]",
    many: bool,
    inputs: "Sequence[Path | Url | None]",
    force: bool,
) -> "LiveReport | None":
    if page is None:
        return None
    from basnet_e2e.errors import BasnetError
    from basnet_e2e.report.live import LiveReport

    if output is not None and layout != "json":
        raise BasnetError("--report reads the result again, which needs --format json")
    result_of = None
    if output is not None:
        place = output

        def result_of(source: "Input") -> Path:
            return place.path / f"{source.id}.json" if place.is_folder else place.path

    one_file = output is not None and not output.is_folder
    return LiveReport(page, sources, result_of, many=many and one_file, inputs=inputs, force=force)


def _write_report(report: "LiveReport", failed: "Sequence[Failure]") -> None:
    with ProgressBar("report", quiet=log.getEffectiveLevel() > logging.INFO) as bar:
        written = report.write(failed, bar.update)
    if written:
        log.info("%s written", written)


def _check(sources: "Sequence[Input]", localizer: "Localizer") -> None:
    """Refuse to begin where no input fits the model; a misfit among others fails at its turn."""
    from basnet_e2e.errors import BasnetError
    from extract.errors import ExtractError

    misfits: list[Exception] = []
    for source in sources:
        try:
            localizer.check(source)
        except (BasnetError, ExtractError) as error:
            misfits.append(error)
    if len(misfits) == len(sources):
        raise misfits[0]


class _Run:
    """Sources one after the other; a broken one is recorded and the rest continue."""

    def __init__(
        self,
        sources: "Sequence[Input]",
        localizer: "Localizer",
        selection: "Selection",
        results: "ResultWriter",
        report: "LiveReport | None" = None,
        *,
        readable: bool = True,
    ) -> None:
        self._readable = readable
        self._sources = sources
        self._localizer = localizer
        self._selection = selection
        self._results = results
        self._report = report
        self._left = list(sources)
        self.failed: list[Failure] = []

    def all(self, jobs: int | None) -> None:
        """Localize what an earlier run has not.

        Args:
            jobs: how many processes make features; None leaves it to the machine.
        """
        self._left = [source for source in self._sources if not self._is_done(source)]
        todo, count = list(self._left), len(self._sources)
        if len(todo) < count:
            log.info("%d of %d done before", count - len(todo), count)
        quiet = log.getEffectiveLevel() > logging.INFO
        with (
            self._localizer.prefetch(todo, jobs) as division,
            ProgressBar("localize", quiet=quiet) as bar,
        ):
            if division and division.workers > 1:
                log.info("%s", division)
            for index, source in enumerate(todo, start=1):
                bar.restart(source.id)
                note = f"video {index}/{len(todo)}" if len(todo) > 1 else ""
                self._one(source, functools.partial(bar.update, note=note))
                self._left.remove(source)

    def _one(self, source: "Input", progress: Any) -> None:
        from basnet_e2e.intervals import Failure
        from basnet_e2e.localization.result_files import stamp
        from basnet_e2e.localization.video_failures import failure_message

        if self._report:
            self._report.reset()
        try:
            made = stamp(self._localizer.made_from(source))
            found = self._localizer.localize_input(source, progress)
        except Exception as error:
            message = failure_message(error, source.path, alone=len(self._sources) == 1)
            log.error("%s", message)
            self.failed.append(Failure(source.id, source.file, message))
            return
        kept = self._selection.of(found)
        result = replace(kept, made=kept.made | made)
        self._results.add(source, result)
        if self._report:
            self._report.add(source, result)

    def _is_done(self, source: "Input") -> bool:
        from basnet_e2e.localization.result_files import stamp

        try:
            made = self._localizer.made_from(source)
        except OSError:
            return False  # its own turn says what is wrong with it
        return self._results.is_done(source, stamp(made) | self._selection.to_json())

    def _print(self, text: str) -> None:
        """JSON for a pipe; on a terminal what a person would look at, and how to get the JSON."""
        if not (self._readable and sys.stdout.isatty()):
            click.echo(text, nl=False)
            return
        from rich.console import Console

        from basnet_e2e.cli.terminal.timeline import show_document

        show_document(text, Console(file=sys.stdout, markup=False, emoji=False, highlight=False))
        log.info("as JSON: add '-o result.json', or send the output to a file or a pipe")

    def close(self) -> None:
        """Write what is done, however the run ended, and say what is left."""
        text = self._results.close(self.failed, self._left)
        if text:
            self._print(text)
        if self._left and len(self._sources) > 1:
            log.warning(
                "%d of %d videos are done; %s",
                len(self._sources) - len(self._left),
                len(self._sources),
                self._results.resume_hint,
            )
