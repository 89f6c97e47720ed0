"""`basnet extract`: videos to feature files."""

import logging
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.options import (
    OneOf,
    PathOrUrl,
    StreamList,
    decoding_options,
    device_option,
    force_option,
    jobs_option,
    message_options,
    offline_option,
    precision_option,
)
from basnet_e2e.cli.terminal.extract_report import ExtractReport, reasons
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from basnet_e2e.cli.terminal.video_time import VideoTime
    from extract.jobs.plan import Plan, Summary
    from extract.pipeline.extractor import Extractor, ExtractSettings
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


def flow_methods() -> tuple[str, ...]:
    """Names of the flow methods, looked up when one is given."""
    from extract.flow.registry import METHODS

    return tuple(METHODS)


class ExactRate(click.ParamType):
    """Frames per second as an exact number: 25, 12.5 or 30000/1001."""

    name = "fps"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Parse a positive rate of at most 1000."""
        try:
            rate = Fraction(value)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no frame rate; write 25, 12.5 or 30000/1001")
        if not 0 < rate <= 1000:
            self.fail(f"{value} frames per second is outside 0 to 1000")
        return rate


@click.command(
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
@click.option(
    "--fps",
    type=ExactRate(),
    show_default="the backbone's: 25 for i3d",
    help="Frames per second of the time grid.",
)
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
    overwrite: bool,
    dry_run: bool,
    json_log: bool,
    jobs: int | None,
    shard: str | None,
    ray: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Turn VIDEOS (files, or folders searched in depth) into one feature file per video.

    A second run does what is missing; failures stand in failures.json in the output folder and do
    not stop the rest. Exit code 1 if a video failed.

    VIDEOS and the output may be URLs (s3://, gs://, hf:// ...; videos also https://). A video is
    fetched while it is worked on. Processes share a folder without doing anything twice; machines
    that write to a URL know nothing of each other, so give each a --shard.
    """
    from extract.backbones.registry import backbone_record
    from extract.jobs.dry_run import record_pace
    from extract.jobs.run import make_plan
    from extract.jobs.shards import parse_shard, shard_of_array
    from extract.pipeline.extractor import Extractor, ExtractSettings
    from extract.sources.find import find_videos

    share = parse_shard(shard) if shard else shard_of_array()
    inputs = share.of(find_videos(videos))
    names = ("backbone", "streams", "flow", "fps", "stride", "quantize", "precision")
    options["streams"] = options["streams"] or backbone_record(options["backbone"]).streams
    settings = ExtractSettings(**{name: options[name] for name in names})
    if dry_run:
        from extract.pipeline.settings import forecast_settings

        forecast, unknown = forecast_settings(settings, options["device"])
        plan = make_plan(inputs, folder, forecast, overwrite=overwrite, unknown=unknown)
        _announce(plan, dry_run)
        _expect(plan, forecast, options["device"])
        return
    extractor = Extractor(settings, device=options["device"], stall=options["stall"])
    plan = make_plan(
        inputs, folder, extractor.settings, overwrite=overwrite, failures=share.failures
    )
    if plan.todo:
        _check_outputs(plan, videos, force)
    _announce(plan, dry_run)
    if not plan.todo:
        return
    with ExtractReport(_video_time(plan, extractor), json_log) as reporter:
        summary = _work(plan, extractor, settings, options, jobs, ray, reporter)
    if not ray:
        record_pace(extractor.settings, options["device"], *reporter.took)
    _conclude(plan, summary)


def _work(
    plan: "Plan",
    extractor: "Extractor",
    settings: "ExtractSettings",
    options: dict[str, Any],
    jobs: int | None,
    ray: str | None,
    reporter: ExtractReport,
) -> "Summary":
    """Extract what the plan says: here, in worker processes or on a cluster."""
    from extract.jobs.cleanup import own_memory
    from extract.jobs.resources import divide
    from extract.jobs.run import WorkerOptions, run_plan
    from extract.jobs.workers import run_plan_with_workers

    backbone, device = extractor.backbone, options["device"]
    how = {"keep_partial": options["keep_partial"], "decoder": options["decoder"]}
    worker = WorkerOptions(settings, device, stall=options["stall"], **how)
    if ray:
        from extract.jobs.ray_cluster import run_plan_on_cluster

        return run_plan_on_cluster(plan, worker, ray, jobs, reporter.hear)
    if jobs is None and own_memory(plan):
        jobs = 1
    sizes, weights = list(reporter.time.sizes.values()), backbone.weights_bytes()
    division = divide(backbone.record, settings.streams, sizes, device, jobs, weights)
    log.info("%s", division)
    if division.workers == 1:
        return run_plan(plan, extractor, listener=reporter.hear, **how)
    devices = division.devices if len(division.devices) > 1 else ()
    return run_plan_with_workers(plan, worker, division.workers, reporter.hear, devices)


def _video_time(plan: "Plan", extractor: "Extractor") -> "VideoTime":
    """What counts the video time of the plan."""
    from basnet_e2e.cli.terminal.video_time import VideoTime
    from extract.features.checkpoints import SNIPPETS
    from extract.jobs.resources import sizes_of

    return VideoTime(
        sizes_of(plan.todo), float(extractor.grid.stride / extractor.grid.fps), SNIPPETS
    )


def _check_outputs(plan: "Plan", given: "tuple[Path | Url, ...]", force: bool) -> None:
    """A feature file replaces nothing but a feature file, and no input."""
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_folder, check_output, check_outputs
    from extract.features.failure_lists import FAILURES
    from extract.features.feature_file import feature_path
    from extract.features.output_folder import Elsewhere

    place = plan.place
    if isinstance(place, Elsewhere):
        place.check(plan.stamps, force)
        return
    read = [*given, *(video.path for video in (*plan.todo, *plan.present))]
    targets = [feature_path(place.local, video.id) for video in plan.todo]
    check_folder(place.local)
    check_outputs(targets, Kind.FEATURES, read, force=force)
    check_output(place.local / (plan.failures or FAILURES), Kind.FAILURES, read, force=force)


def _announce(plan: "Plan", dry_run: bool) -> None:
    from basnet_e2e.data.annotations.video_names import counted
    from extract.sources.find import printable

    log.info(
        "%s: %d to do, %d done before",
        counted(len(plan.todo) + len(plan.present), "video"),
        len(plan.todo),
        len(plan.present),
    )
    if dry_run:
        for video in plan.todo:
            click.echo(f"{video.id}\t{printable(str(video.path))}")


def _expect(plan: "Plan", settings: dict[str, Any], device: str) -> None:
    """Say how long the plan should take and how much disk it needs."""
    from extract.backbones.registry import backbone_record
    from extract.jobs.dry_run import estimate

    if not plan.todo:
        return
    dimension = backbone_record(settings["backbone"]).dimension
    found = estimate(plan.todo, settings, dimension, device)
    took = (
        "unknown until a first run tells the pace"
        if found.seconds is None
        else f"about {clock(found.seconds)} at the pace of the last run"
    )
    unread = f" ({found.unread} do not say how long they are)" if found.unread else ""
    log.info("%s of video%s; time: %s", clock(found.seconds_of_video), unread, took)
    log.info("disk: about %.1f MB in %s", found.bytes / 1e6, plan.folder)


def _conclude(plan: "Plan", summary: "Summary") -> None:
    from basnet_e2e.data.annotations.video_names import counted

    log.info("features of %s written to %s", counted(len(summary.done), "video"), plan.folder)
    if summary.elsewhere:
        log.info("%d done by other processes", len(summary.elsewhere))
    if summary.failed:
        log.warning("%d failed, see %s", len(summary.failed), plan.folder / (plan.failures or ""))
        for reason, count in reasons(summary.failed.values()):
            log.warning("  %d: %s", count, reason)
        raise click.exceptions.Exit(1)
