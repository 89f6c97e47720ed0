"""Many videos into one folder of feature files: plan, resume, keep going, record failures."""

import functools
import logging
import os
import time
import traceback
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.errors import DiskError, ExtractError
from extract.features.checkpoints import Chunks
from extract.features.failure_lists import FAILURES, change_failures, read_failures
from extract.features.feature_file import SUFFIX, settings_difference
from extract.features.fingerprint import fingerprint
from extract.features.missing_folders import check_filled, common_folder
from extract.features.output_folder import place_of
from extract.jobs.plan import Event, Listener, Plan, Summary, Task, note
from extract.machine.file_locks import claim
from extract.pipeline.extractor import Extractor, ExtractSettings
from extract.pipeline.waiting import Patient, Waiting, at_once
from extract.sources.download import at_hand
from extract.sources.find import VideoInput, path_or_url, printable
from extract.sources.urls import Url, masked
from extract.video.isolation.isolated_clip import STALL
from weights.errors import WeightsError

log = logging.getLogger(__name__)


def make_plan(
    videos: Sequence[VideoInput],
    folder: str | os.PathLike[str] | Url,
    settings: dict[str, Any],
    *,
    overwrite: bool = False,
    unknown: Collection[str] = (),
    failures: str = FAILURES,
) -> Plan:
    """Compare what is asked for with what is there.

    A feature file counts as present when its settings are equal and the video's content is the one
    it was made from; a changed video is extracted again.

    Args:
        videos: what is asked for.
        folder: the features folder.
        settings: those that features would be made with.
        overwrite: count none of the videos as present.
        unknown: names of settings that cannot be known before weights are fetched.
        failures: name of the list that takes videos that fail.

    Raises:
        ExtractError: a feature file of the folder was made with other settings.
    """
    target = path_or_url(folder)
    place = place_of(target)
    again = {video.id for video in videos} if overwrite else set()
    metas = place.metas(without=again)
    for video_id, meta in metas.items():
        difference = meta and settings_difference(meta["settings"], settings, unknown=unknown)
        if difference:
            raise ExtractError(
                f"{target / video_id}{SUFFIX} was made with other settings ({difference} now); use "
                "another output folder, or --overwrite to extract its videos again"
            )
    todo, present = [], []
    for video in videos:
        meta = metas.get(video.id)
        if meta and meta["facts"].get("fingerprint") == _fingerprint_or_none(video.path):
            present.append(video)
        else:
            if meta:
                log.warning("%s has changed since its features were made: again", video.path)
            todo.append(video)
    stood = [video.id for video in todo if video.id in metas or video.id in again]
    found = {video_id: place.stamp(video_id) for video_id in stood}
    stamps = {key: stamp for key, stamp in found.items() if stamp is not None}
    return Plan(
        target,
        tuple(todo),
        tuple(present),
        failures,
        stamps,
        read_failures(target),
        common_folder(todo),
    )


def _fingerprint_or_none(path: Path | Url) -> str | None:
    """None for a file that is gone: to extract it will say so."""
    try:
        return fingerprint(path)
    except OSError:
        return None


def run_plan(
    plan: Plan,
    extractor: Extractor,
    *,
    keep_partial: bool = False,
    decoder: str = "auto",
    listener: Listener = lambda event: None,
) -> Summary:
    """Extract the videos of a plan one after the other in this process.

    A video that fails is recorded and the rest go on. One that another process has in hand comes
    last, and is taken over where that process ends without it.

    Raises:
        ExtractError: the weights are those of another network.
        WeightsError: a stream's weights are not there.
        OSError: the features folder cannot be written.
    """
    summary = Summary()
    extractor.load()
    settle(plan)
    queue = Queue(plan)

    def ended(task: Task, event: Event) -> None:
        if event.kind == "busy":
            queue.put_off(task)
        else:
            note(event, summary)
            listener(event)

    def hear(event: Event) -> None:
        listener(event)
        waiting.look()

    with Waiting[Event]() as waiting:
        while task := queue.next():
            work = extract_steps(task, plan, extractor, keep_partial, decoder, hear)
            waiting.begin(work, functools.partial(ended, task))
    return summary


def settle(plan: Plan) -> None:
    """Make the features folder, and take out of its lists of failures what is there by now.

    Raises:
        OSError: the folder cannot be made or written.
    """
    plan.place.local.mkdir(parents=True, exist_ok=True)
    change_failures(plan.folder, [video.id for video in plan.present])


class Queue:
    """The tasks of a plan; those that other processes have in hand come again at the end."""

    def __init__(self, plan: Plan) -> None:
        self._tasks = deque(plan.tasks())
        self._told = False

    def __len__(self) -> int:
        return len(self._tasks)

    def next(self) -> Task | None:
        """The next task, None where there is no other."""
        return self._tasks.popleft() if self._tasks else None

    def put_first(self, task: Task) -> None:
        """Have a task come again at once."""
        self._tasks.appendleft(task)

    def put_off(self, task: Task) -> None:
        """Have a task come again, and say so once nothing else is left."""
        self._tasks.append(task.later())
        if not self._told and all(other.patience for other in self._tasks):
            self._told = True
            log.info("the rest is in work in other processes: waiting for them")


def extract_one(
    task: Task,
    plan: Plan,
    extractor: Extractor,
    keep_partial: bool,
    decoder: str,
    listener: Listener,
) -> Event:
    """`extract_steps` at once."""
    return at_once(extract_steps(task, plan, extractor, keep_partial, decoder, listener))


def extract_steps(
    task: Task,
    plan: Plan,
    extractor: Extractor,
    keep_partial: bool,
    decoder: str,
    listener: Listener,
) -> Patient[Event]:
    """Extract one video into its feature file; its failure is an event, not an exception.

    It waits where all that is left is to fill a batch with other videos. The event is ``busy``
    where another process works on the video, and tells of its outcome where it was done since.

    Raises:
        WeightsError: a stream's weights are not there, which stops every video.
        OSError: the features folder cannot be written, or it or the videos' folder is gone.
    """
    video = task.video
    plan.place.check_there()
    with claim(plan.place.local, video.id, task.patience) as claimed:
        if not claimed:
            return Event("busy", video)
        elsewhere = _done_elsewhere(task, plan)
        if elsewhere is not None:
            return elsewhere
        if plan.failures is not None:
            change_failures(plan.folder, [video.id])
        plan.place.remove_half_written(video.id)
        event = yield from _extract(task, plan, extractor, keep_partial, decoder, listener)
        if event.kind == "failed" and plan.failures is not None:
            change_failures(plan.folder, (), {video.id: event.message}, plan.failures)
    return event


def _extract(
    task: Task,
    plan: Plan,
    extractor: Extractor,
    keep_partial: bool,
    decoder: str,
    listener: Listener,
) -> Patient[Event]:
    video, began = task.video, time.monotonic()
    chunks = Chunks(plan.place.local, video.id)
    listener(Event("start", video))

    def on_progress(done: int, total: int) -> None:
        listener(Event("progress", video, done, total, time.monotonic() - began))

    try:
        with at_hand(video.path) as path:
            work = extractor.steps(
                path,
                decoder=decoder,
                keep_partial=keep_partial,
                progress=on_progress,
                chunks=chunks,
            )
            # What was fetched is not kept while others fill a batch.
            fetched = isinstance(video.path, Url)
            features = at_once(work) if fetched else (yield from work)
        features.check_finite(video.path)
    except (WeightsError, DiskError):
        raise
    except Exception as error:
        log.debug("%s", masked(traceback.format_exc()))
        chunks.clear()
        plan.place.check_there()
        if plan.source and isinstance(video.path, Path) and not video.path.exists():
            check_filled(plan.source)
        message = _reason(video.path, error)
        return Event("failed", video, seconds=time.monotonic() - began, message=message)
    plan.place.check_there()
    plan.place.keep(features, video.id)
    chunks.clear()
    rows = len(features.start)
    facts = features.facts
    used = ", ".join(str(facts[key]) for key in ("decoder", "engine", "runtime") if facts.get(key))
    if facts.get("partial"):
        used += f"; {facts['partial']}"
    spent = time.monotonic() - began
    return Event("done", video, rows, rows, spent, used, features.duration)


def _done_elsewhere(task: Task, plan: Plan) -> Event | None:
    """What became of a video that another process had in hand since the plan was made."""
    if plan.place.stamp(task.video.id) not in (None, task.stamp):
        meta = plan.place.meta(task.video.id)
        made_from = (meta or {}).get("facts", {}).get("fingerprint")
        if made_from is not None and made_from == _fingerprint_or_none(task.video.path):
            return Event("elsewhere", task.video)
    failure = read_failures(plan.folder).get(task.video.id)
    if failure not in (None, task.failure):
        return Event("failed", task.video, message=failure)
    return None


def _reason(path: Path | Url, error: Exception) -> str:
    """One line on why a video failed, whatever was raised."""
    if isinstance(error, ExtractError):
        return printable(str(error))
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{path}: cannot be read ({error.strerror})")
    text = " ".join(masked(f"{type(error).__name__}: {error}").split())
    return printable(f"{path}: {text.rstrip(': ')} (not expected; please report it, -v says more)")


@dataclass(frozen=True)
class WorkerOptions:
    """All that a worker process needs to build its extractor."""

    settings: ExtractSettings
    device: str
    keep_partial: bool
    decoder: str
    stall: float = STALL

    def make_extractor(self) -> Extractor:
        """An extractor in the process that calls."""
        return Extractor(self.settings, device=self.device, stall=self.stall)
