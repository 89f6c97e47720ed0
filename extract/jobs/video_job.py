"""One video of a plan: lock, compare, extract, save, and record what fails."""

import errno
import logging
import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.errors import DiskError, ExtractError
from extract.features.checkpoints import Checkpoints
from extract.features.failure_lists import change_failures, read_failures, read_replaceable
from extract.features.feature_file import Features
from extract.features.output_folder import check_there
from extract.jobs.plan import Event, Job, OnEvent, Plan
from extract.jobs.store import made_from
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.sources.find import VideoInput, printable
from extract.sources.urls import Url, masked
from weights.errors import WeightsError

if TYPE_CHECKING:
    from extract.pipeline.extractor import Extractor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractorOptions:
    """What another process makes its extractor from."""

    settings: ExtractSettings
    device: str
    decoding: DecodeOptions

    def make_extractor(self) -> "Extractor":
        """An extractor for this process."""
        from extract.pipeline.extractor import Extractor

        return Extractor(self.settings, device=self.device, decoding=self.decoding)


def work_on(job: Job, plan: Plan, extractor: "Extractor", on_event: OnEvent) -> Event:
    """Extract one video into its feature file; its failure is an event, not an exception.

    The event is ``busy`` if another process is working on the video. If another one has done it
    since the plan was made, the event is its outcome.

    Raises:
        WeightsError: a stream's weights are missing, which stops every video.
        OSError: the features folder cannot be written, or it or the videos' folder is gone.
    """
    video, output = job.video, plan.store.output
    name = plan.store.name_of(video, extractor) or video.id
    output.check_there()
    try:
        with output.lock(name, job.patience) as locked:
            if not locked:
                return Event("busy", video)
            if elsewhere := _done_elsewhere(job, plan, name):
                return elsewhere
            if plan.failures is not None:
                change_failures(output, [video.id])
            event = _extract(name, video, plan, extractor, on_event)
            if event.kind == "failed":
                plan.record_failure(event)
            return event
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        event = Event("failed", video, message=_reason(video.path, error))
        plan.record_failure(event)
        return event


def _extract(
    name: str, video: VideoInput, plan: Plan, extractor: "Extractor", on_event: OnEvent
) -> Event:
    began = time.monotonic()
    snippet = float(extractor.grid.stride / extractor.grid.fps)
    on_event(Event("start", video))

    def on_progress(done: int, total: int) -> None:
        seconds = time.monotonic() - began
        on_event(Event("progress", video, done, total, seconds, duration=total * snippet))

    try:
        features = plan.store.make(name, video, extractor, on_progress=on_progress)
    except (DiskError, WeightsError):
        raise
    except Exception as error:
        log.debug("%s", masked(traceback.format_exc()))
        plan.store.output.check_there()
        if plan.videos_folder and isinstance(video.path, Path) and not video.path.exists():
            _check_filled(plan.videos_folder)
        reason = _reason(video.path, error)
        return Event("failed", video, seconds=time.monotonic() - began, message=reason)
    rows, spent = len(features.start), time.monotonic() - began
    return Event("done", video, rows, rows, spent, _made_by(features), features.duration)


def _check_filled(folder: Path) -> None:
    """Raise a ``DiskError`` if a folder of videos is gone, or empty like an unmounted disk."""
    check_there(folder)
    with os.scandir(folder) as entries:
        if next(entries, None) is None:
            raise DiskError(errno.ENOENT, "this folder is empty now", os.fspath(folder))


def _made_by(features: Features) -> str:
    """Decoder, engine and runtime, and why a partial video ends early."""
    facts = features.facts
    used = ", ".join(str(facts[key]) for key in ("decoder", "engine", "runtime") if facts.get(key))
    return "; ".join(filter(None, (used, facts.get("partial"))))


def _done_elsewhere(job: Job, plan: Plan, name: str) -> Event | None:
    """How another process ended the video since the plan was made."""
    output, video = plan.store.output, job.video
    if output.version(name) not in (None, job.version) and made_from(output.meta(name), video):
        return Event("elsewhere", video)
    if plan.failures is None:
        return None
    failure = read_failures(output.folder, read_replaceable).get(video.id)
    if failure is not None and failure != job.failure:
        return Event("failed", video, message=failure)
    return None


def _reason(path: Path | Url, error: Exception) -> str:
    """One line on why a video failed."""
    if isinstance(error, ExtractError):
        return printable(str(error))
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{path}: cannot be read ({error.strerror})")
    text = " ".join(masked(f"{type(error).__name__}: {error}").split())
    return printable(f"{path}: {text.rstrip(': ')} (not expected; please report it, -v says more)")


def record_lost(plan: Plan, event: Event) -> None:
    """Record the failure of a video whose process died, unless another one works on it by now."""
    output, video_id = plan.store.output, event.video.id
    with output.lock(video_id, patience=0) as locked:
        if locked:
            Checkpoints(output.local, video_id).clear()
            output.remove_half_written(video_id)
            plan.record_failure(event)


def clean_up(plan: Plan, video: VideoInput, patience: float) -> None:
    """Remove what a process that was ended within a video left, ``patience`` seconds later."""
    with plan.store.output.lock(video.id, patience) as locked:
        if locked:
            plan.store.output.remove_half_written(video.id)
