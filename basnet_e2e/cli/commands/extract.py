"""`basnet extract`: videos to feature files."""

import logging
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import (
    backbone_option,
    check_feature_files,
    decoding_options,
    device_option,
    force_option,
    frame_rate_option,
    jobs_option,
    offline_option,
    precision_option,
    streams_option,
    stride_option,
)
from basnet_e2e.cli.terminal.extract_progress import ExtractProgress, reasons
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_output
from basnet_e2e.display import clock
from extract.backbones.registry import backbone_spec
from extract.features.failure_lists import FAILURES
from extract.flow.registry import METHODS
from extract.jobs.dry_run import estimate
from extract.jobs.plan import Plan, Summary, make_plan
from extract.jobs.resources import sizes_of
from extract.jobs.run import extract_folder
from extract.jobs.shards import Shard, parse_shard, shard_of_array
from extract.pipeline.settings import DecodeOptions, ExtractSettings, expected_settings
from extract.sources.find import find_videos, printable
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)


@command("basnet extract videos/ -o features/ --streams rgb")
@click.argument("videos", nargs=-1, required=True, type=path_or_url)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=path_or_url,
    metavar="FOLDER",
    help="Folder of the feature files, or its URL.",
)
@backbone_option("Network that makes features", default="i3d", show_default=True)
@streams_option(show_default="the backbone's: rgb,flow for i3d")
@click.option(
    "--flow",
    type=click.Choice(list(METHODS)),
    default="tvl1",
    show_default=True,
    help="Optical flow. tvl1: as the networks were trained; tvl1-fast: 1.7 times as fast, slightly "
    "less exact; raft: a network of its own.",
)
@frame_rate_option("Frames per second of the time grid. Default: the backbone's, 25 for i3d.")
@stride_option(default=16, show_default=True)
@click.option(
    "--quantize",
    type=click.Choice(["uint8", "none"]),
    default="uint8",
    show_default=True,
    help="uint8: flow in 256 levels, as the networks were trained; none: not rounded.",
)
@jobs_option
@click.option(
    "--shard",
    metavar="I/N",
    show_default="the task of a SLURM array, else all",
    help="Extract only part I (from 0) of N of the videos.",
)
@click.option(
    "--ray",
    metavar="auto|ADDRESS",
    help="Run on this Ray cluster (HOST:PORT or ray://...); needs [ray]. Default: this machine.",
)
@click.option(
    "--overwrite", is_flag=True, help="Extract again what is there. Default: what is missing."
)
@click.option("--dry-run", is_flag=True, help="Only list what would be done.")
@click.option("--json-log", is_flag=True, help="Progress as JSON lines on stderr. Default: text.")
@decoding_options
@force_option
@precision_option("float32")
@device_option
@offline_option
def extract(
    videos: tuple[Path | Url, ...],
    folder: Path | Url,
    device: str,
    decoding: DecodeOptions,
    overwrite: bool,
    dry_run: bool,
    json_log: bool,
    jobs: int | None,
    shard: str | None,
    ray: str | None,
    force: bool,
    **chosen: Any,
) -> None:
    """Turn VIDEOS (files, or folders searched in depth) into one feature file per video.

    Run it again to extract what is missing. Videos that fail are listed in failures.json in the
    output folder and do not stop the others; the exit code is then 1.

    VIDEOS and the output may be URLs (s3://, gs://, hf:// ...; videos also https://). Several
    processes may share an output folder, and no video is extracted twice. Machines that write to a
    URL do not know of each other: give each a --shard.
    """
    share = parse_shard(shard) if shard else shard_of_array()
    chosen["streams"] = chosen["streams"] or backbone_spec(chosen["backbone"]).streams
    settings = ExtractSettings(**chosen)
    if dry_run:
        _dry_run(videos, folder, settings, share, device, overwrite)
        return
    with ExtractProgress(json_log) as progress:

        def on_plan(plan: Plan) -> None:
            if plan.todo:
                _check_outputs(plan, videos, force)
            _announce(plan)
            if plan.todo:
                progress.begin(sizes_of([job.video for job in plan.todo]))

        summary = extract_folder(
            videos,
            folder,
            settings,
            jobs=jobs,
            device=device,
            decoding=decoding,
            overwrite=overwrite,
            shard=share,
            ray=ray,
            on_plan=on_plan,
            on_event=progress.on_event,
        )
    _conclude(summary, folder, share.failures)


def _dry_run(
    videos: tuple[Path | Url, ...],
    folder: Path | Url,
    settings: ExtractSettings,
    share: Shard,
    device: str,
    overwrite: bool,
) -> None:
    """List what would be done, how long the videos are and how much disk their features need."""
    inputs = share.of(find_videos(videos))
    expected, unknown = expected_settings(settings, device)
    plan = make_plan(inputs, folder, expected, overwrite=overwrite, unknown=unknown)
    _announce(plan)
    todo = [job.video for job in plan.todo]
    for video in todo:
        click.echo(f"{video.id}\t{printable(str(video.path))}")
    if todo:
        found = estimate(todo, expected, backbone_spec(settings.backbone).dimension)
        unread = f" ({found.unread} do not say how long they are)" if found.unread else ""
        log.info("%s of video%s", clock(found.seconds), unread)
        log.info("disk: about %.1f MB in %s", found.bytes / 1e6, folder)


def _check_outputs(plan: Plan, given: tuple[Path | Url, ...], force: bool) -> None:
    """A feature file replaces nothing but a feature file, and no input."""
    folder, todo = plan.folder, [job.video for job in plan.todo]
    if not isinstance(folder, Path):
        replaced = [job.video.id for job in plan.todo if job.version is not None]
        plan.store.output.check_writable(replaced, force)
        return
    read = [*given, *(video.path for video in (*todo, *plan.present))]
    check_feature_files(folder, todo, read, force=force)
    check_output(folder / (plan.failures or FAILURES), Kind.FAILURES, read, force=force)


def _announce(plan: Plan) -> None:
    todo, present = len(plan.todo), len(plan.present)
    log.info("%s: %d to do, %d done before", counted(todo + present, "video"), todo, present)


def _conclude(summary: Summary, folder: Path | Url, failures: str) -> None:
    if not (summary.done or summary.elsewhere or summary.failed):
        return
    log.info("features of %s written to %s", counted(len(summary.done), "video"), folder)
    if summary.elsewhere:
        log.info("%d done by other processes", len(summary.elsewhere))
    if summary.failed:
        log.warning("%d failed, see %s", len(summary.failed), folder / failures)
        for reason, count in reasons(summary.failed.values()):
            log.warning("  %d: %s", count, reason)
        raise click.exceptions.Exit(1)
