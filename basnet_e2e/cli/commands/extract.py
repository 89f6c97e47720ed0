"""`basnet extract`: videos to feature files."""

import logging
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import (
    OneOf,
    PathOrUrl,
    StreamList,
    decoding_options,
    device_option,
    force_option,
    frame_rate_option,
    jobs_option,
    message_options,
    offline_option,
    precision_option,
)
from basnet_e2e.cli.terminal.extract_progress import ExtractProgress, reasons
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from extract.jobs.plan import Plan, Summary
    from extract.jobs.shards import Shard
    from extract.pipeline.settings import ExtractSettings
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


def flow_methods() -> tuple[str, ...]:
    """Names of the flow methods, looked up when one is given."""
    from extract.flow.registry import METHODS

    return tuple(METHODS)


@click.command(
    cls=SectionedCommand,
    epilog="Example: basnet extract videos/ -o features/ --streams rgb",
)
@click.argument("videos", nargs=-1, required=True, type=PathOrUrl())
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=PathOrUrl(),
    metavar="FOLDER",
    help="Folder of the feature files, or its URL.",
)
@click.option("--backbone", default="i3d", show_default=True, help="Network that makes features.")
@click.option(
    "--streams",
    type=StreamList(),
    show_default="the backbone's: rgb,flow for i3d",
    help="rgb, flow or both.",
)
@click.option(
    "--flow",
    type=OneOf("method", flow_methods),
    default="tvl1",
    show_default=True,
    help="Optical flow: tvl1, tvl1-fast or raft.",
)
@frame_rate_option("Frames per second of the time grid. Default: the backbone's, 25 for i3d.")
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Frames between snippets.",
)
@click.option(
    "--quantize",
    type=click.Choice(["uint8", "none"]),
    default="uint8",
    show_default=True,
    help="Flow in 256 levels, as the networks were trained, or real.",
)
@jobs_option
@click.option(
    "--shard",
    metavar="I/N",
    show_default="the task of a SLURM array, else all",
    help="Only share I (from 0) of N of the videos.",
)
@click.option(
    "--ray",
    metavar="auto|ADDRESS",
    help="On this Ray cluster (HOST:PORT or ray://...); needs [ray].",
)
@click.option("--overwrite", is_flag=True, help="Extract again what is there.")
@click.option("--dry-run", is_flag=True, help="Only list what would be done.")
@click.option("--json-log", is_flag=True, help="Progress as JSON lines on stderr.")
@decoding_options
@force_option
@precision_option("float32")
@device_option
@offline_option
@message_options
def extract(
    videos: "tuple[Path | Url, ...]",
    folder: "Path | Url",
    backbone: str,
    streams: tuple[str, ...] | None,
    flow: str,
    fps: Fraction | None,
    stride: int,
    quantize: str,
    precision: str,
    device: str,
    decoder: str,
    keep_partial: bool,
    stall: float,
    overwrite: bool,
    dry_run: bool,
    json_log: bool,
    jobs: int | None,
    shard: str | None,
    ray: str | None,
    force: bool,
) -> None:
    """Turn VIDEOS (files, or folders searched in depth) into one feature file per video.

    A second run does what is missing. Videos that fail are listed in failures.json in the output
    folder and do not stop the others; the exit code is 1 then.

    VIDEOS and the output may be URLs (s3://, gs://, hf:// ...; videos also https://). Several
    processes may share an output folder and do nothing twice. Machines that write to a URL do not
    know of each other: give each a --shard.
    """
    from extract.backbones.registry import backbone_spec
    from extract.jobs.run import extract_folder
    from extract.jobs.shards import parse_shard, shard_of_array
    from extract.pipeline.settings import DecodeOptions, ExtractSettings

    share = parse_shard(shard) if shard else shard_of_array()
    streams = streams or backbone_spec(backbone).streams
    settings = ExtractSettings(backbone, streams, flow, fps, stride, quantize, precision)
    if dry_run:
        _dry_run(videos, folder, settings, share, device, overwrite)
        return
    with ExtractProgress(json_log) as progress:

        def on_plan(plan: "Plan") -> None:
            from extract.jobs.resources import sizes_of

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
            decoding=DecodeOptions(decoder, keep_partial, stall),
            overwrite=overwrite,
            shard=share,
            ray=ray,
            on_plan=on_plan,
            on_event=progress.on_event,
        )
    _conclude(summary, folder, share.failures)


def _dry_run(
    videos: "tuple[Path | Url, ...]",
    folder: "Path | Url",
    settings: "ExtractSettings",
    share: "Shard",
    device: str,
    overwrite: bool,
) -> None:
    """List what would be done, how long the videos are and how much disk their features need."""
    from extract.backbones.registry import backbone_spec
    from extract.jobs.dry_run import estimate
    from extract.jobs.plan import make_plan
    from extract.pipeline.settings import expected_settings
    from extract.sources.find import find_videos, printable

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


def _check_outputs(plan: "Plan", given: "tuple[Path | Url, ...]", force: bool) -> None:
    """A feature file replaces nothing but a feature file, and no input."""
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_folder, check_output, check_outputs
    from extract.features.failure_lists import FAILURES
    from extract.features.feature_file import feature_path

    folder, todo = plan.folder, [job.video for job in plan.todo]
    if not isinstance(folder, Path):
        replaced = [job.video.id for job in plan.todo if job.version is not None]
        plan.store.output.check_writable(replaced, force)
        return
    read = [*given, *(video.path for video in (*todo, *plan.present))]
    targets = [feature_path(folder, video.id) for video in todo]
    check_folder(folder)
    check_outputs(targets, Kind.FEATURES, read, force=force)
    check_output(folder / (plan.failures or FAILURES), Kind.FAILURES, read, force=force)


def _announce(plan: "Plan") -> None:
    from basnet_e2e.data.annotations.video_names import counted

    log.info(
        "%s: %d to do, %d done before",
        counted(len(plan.todo) + len(plan.present), "video"),
        len(plan.todo),
        len(plan.present),
    )


def _conclude(summary: "Summary", folder: "Path | Url", failures: str) -> None:
    from basnet_e2e.data.annotations.video_names import counted

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
