"""A folder of videos to a folder of feature files: resume, keep going, record failures."""

import contextlib
import logging
import os
from collections.abc import Callable, Sequence

from extract.jobs.plan import Event, JobQueue, OnEvent, Plan, Summary, make_plan
from extract.jobs.resources import divide_for
from extract.jobs.shards import WHOLE, Shard
from extract.jobs.video_job import ExtractorOptions, work_on
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.sources.find import find_videos
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)

Name = str | os.PathLike[str] | Url


def extract_folder(
    videos: Name | Sequence[Name],
    output: Name,
    settings: ExtractSettings | None = None,
    *,
    jobs: int | None = None,
    device: str = "auto",
    decoding: DecodeOptions | None = None,
    overwrite: bool = False,
    shard: Shard = WHOLE,
    ray: str | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
    on_event: OnEvent = lambda event: None,
) -> Summary:
    """Extract videos into feature files; a second run does what is missing.

    A video that fails is recorded in ``failures.json`` and does not stop the others. Several
    processes may work on one folder. A script that starts several jobs needs its own code behind
    ``if __name__ == "__main__"``.

    Args:
        videos: files, folders searched in depth, or URLs of them.
        output: folder of the feature files, or its URL.
        settings: what to compute; by default two-stream I3D features.
        jobs: videos at a time, each in a process of its own; None fills the machine.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoding: how videos are decoded.
        overwrite: extract all videos again.
        shard: only this part of the videos.
        ray: address of a Ray cluster to run on (``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``).
        on_plan: called before work starts with what is to be done; it may raise to prevent it.
        on_event: called with each event of each video.

    Returns:
        Which videos are done, and why others failed.

    Raises:
        ExtractError: there is no video, a setting is wrong, or the folder holds features that were
            made with other settings.
        WeightsError: the weights of a stream are not there.
        OSError: the output cannot be written.
    """
    settings, decoding = settings or ExtractSettings(), decoding or DecodeOptions()
    names = [videos] if isinstance(videos, str | os.PathLike | Url) else videos
    inputs = shard.of(find_videos(names))
    extractor = Extractor(settings, device=device, decoding=decoding)
    plan = make_plan(
        inputs,
        path_or_url(output),
        extractor.file_settings,
        overwrite=overwrite,
        failures=shard.failures,
    )
    on_plan(plan)
    summary = Summary(present=[video.id for video in plan.present])

    def record(event: Event) -> None:
        summary.add(event)
        on_event(event)

    if plan.todo:
        _run(plan, extractor, ExtractorOptions(settings, device, decoding), jobs, ray, record)
    return summary


def _run(
    plan: Plan,
    extractor: Extractor,
    options: ExtractorOptions,
    jobs: int | None,
    ray: str | None,
    on_event: OnEvent,
) -> None:
    """Work in this process, in worker processes or on a cluster."""
    if ray:
        from extract.jobs.ray_cluster import run_on_cluster

        run_on_cluster(plan, options, ray, jobs, on_event)
        return
    jobs = 1 if jobs is None and plan.in_memory() else jobs
    division = divide_for(extractor, [job.video for job in plan.todo], options.device, jobs)
    log.info("%s", division)
    if division.workers == 1:
        run_here(plan, extractor, on_event)
        return
    from extract.jobs.workers import events_of_workers

    with contextlib.closing(events_of_workers(plan, options, division)) as events:
        for event in events:
            on_event(event)


def run_here(plan: Plan, extractor: Extractor, on_event: OnEvent) -> None:
    """Extract the videos of a plan one after the other in this process.

    A video that another process is working on comes last; if that process ends without it, it is
    extracted here.

    Raises:
        Exception: as `extract_folder`.
    """
    extractor.load()
    plan.prepare()
    queue = JobQueue(plan)
    while job := queue.next():
        event = work_on(job, plan, extractor, on_event)
        if event.kind == "busy":
            queue.put_off(job)
        else:
            on_event(event)
