"""What to do in a features folder, the events, and the outcome."""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.features.failure_lists import (
    FAILURES,
    change_failures,
    read_failures,
    read_replaceable,
)
from extract.features.settings import settings_difference
from extract.jobs.store import FeatureFolder, made_from
from extract.sources.find import VideoInput
from extract.sources.storage import Version
from extract.sources.urls import OF_ONE_PROCESS, Url

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds of waiting for another process before the next video has its turn


@dataclass(frozen=True)
class Event:
    """Something that happened to one video.

    Attributes:
        kind: ``start``, ``progress``, ``done`` or ``failed``; ``busy`` if another process is
            working on the video, ``elsewhere`` if one has done it.
        video: which one.
        done: snippets done so far, including those of an interrupted run.
        total: snippets in all, 0 while unknown.
        seconds: time since the start of this video.
        message: the error of a failed video, the decoder and engine of a done one.
        duration: seconds of video in all, 0 while unknown.
    """

    kind: str
    video: VideoInput
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""
    duration: float = 0.0


OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Job:
    """One video to extract, and what the folder held when the plan was made.

    Attributes:
        video: which one.
        version: of the feature file to replace, None if there is none.
        failure: why it failed before, None if it did not.
        patience: seconds to wait for another process that is working on it.
    """

    video: VideoInput
    version: Version | None = None
    failure: str | None = None
    patience: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What is to be done in a features folder.

    Attributes:
        store: where the features are kept.
        todo: videos to extract.
        present: videos with features of equal settings.
        failures: name of the list of those that fail; None keeps no list.
        videos_folder: the deepest folder above all videos of ``todo``, None if there is none.
    """

    store: FeatureFolder
    todo: tuple[Job, ...]
    present: tuple[VideoInput, ...] = ()
    failures: str | None = FAILURES
    videos_folder: Path | None = None

    @property
    def folder(self) -> Path | Url:
        """The features folder."""
        return self.store.output.folder

    def prepare(self) -> None:
        """Create the features folder, and remove present videos from its failure lists."""
        self.store.output.local.mkdir(parents=True, exist_ok=True)
        change_failures(self.store.output, [video.id for video in self.present])

    def record_failure(self, event: Event) -> None:
        """Add a failed video to the list."""
        if self.failures is not None:
            failed = {event.video.id: event.message}
            change_failures(self.store.output, (), failed, self.failures)

    def in_memory(self) -> Path | Url | None:
        """An input or the output in this process's memory, which no other process sees."""
        places = (self.folder, *(job.video.path for job in self.todo))
        return next(filter(in_memory, places), None)

    def check_shared(self) -> None:
        """Check that other processes see all inputs and the output.

        Raises:
            ExtractError: one is in this process's memory.
        """
        place = self.in_memory()
        if place is not None:
            raise ExtractError(f"{place}: is this process's own memory, so --jobs must be 1")


def in_memory(place: Path | Url) -> bool:
    """Whether a path or URL is in this process's memory."""
    return isinstance(place, Url) and place.scheme in OF_ONE_PROCESS


def make_plan(
    videos: Sequence[VideoInput],
    folder: Path | Url,
    settings: dict[str, Any],
    *,
    overwrite: bool = False,
    unknown: Collection[str] = (),
    failures: str = FAILURES,
) -> Plan:
    """Compare the requested videos with the features folder.

    A feature file counts as present when its settings are equal and the video's content is the one
    it was made from; a changed video is extracted again.

    Args:
        videos: the requested ones.
        folder: the features folder.
        settings: those that features would be made with.
        overwrite: count none of the videos as present.
        unknown: names of settings that are not known before weights are fetched.
        failures: name of the list of videos that fail.

    Raises:
        ExtractError: a feature file of the folder was made with other settings.
    """
    store = FeatureFolder(folder)
    again = {video.id for video in videos} if overwrite else set()
    metas = store.output.metas(without=again)
    for video_id, meta in metas.items():
        difference = meta and settings_difference(meta["settings"], settings, unknown=unknown)
        if difference:
            raise ExtractError(
                f"{store.output.file(video_id)} was made with other settings ({difference} now); "
                "use another output folder, or --overwrite to extract its videos again"
            )
    failed = read_failures(folder, read_replaceable)
    todo, present = [], []
    for video in videos:
        meta = metas.get(video.id)
        if made_from(meta, video):
            present.append(video)
            continue
        if meta:
            log.warning("%s has changed since its features were made: again", video.path)
        there = video.id in metas or video.id in again
        version = store.output.version(video.id) if there else None
        todo.append(Job(video, version, failed.get(video.id)))
    videos_folder = common_folder(job.video for job in todo)
    return Plan(store, tuple(todo), tuple(present), failures, videos_folder)


def common_folder(videos: Iterable[VideoInput]) -> Path | None:
    """The deepest folder above all videos; None if there is none, or for a URL."""
    paths = [video.path for video in videos]
    folders = {os.path.abspath(path.parent) for path in paths if isinstance(path, Path)}
    if not folders or not all(isinstance(path, Path) for path in paths):
        return None
    with contextlib.suppress(ValueError):  # drives of one machine have no folder in common
        return Path(os.path.commonpath(folders))
    return None


@dataclass
class Summary:
    """Outcome of a run over a folder.

    Attributes:
        done: ids of the videos that were extracted.
        failed: why each of the others failed, by id.
        elsewhere: ids of those that other processes have done in the meantime.
        present: ids of those whose features existed before.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Record how one video ended."""
        if event.kind == "elsewhere":
            self.elsewhere.append(event.video.id)
        elif event.kind == "done":
            self.done.append(event.video.id)
        elif event.kind == "failed":
            self.failed[event.video.id] = event.message


class JobQueue:
    """The jobs of a plan; those that other processes are working on come last."""

    def __init__(self, plan: Plan) -> None:
        self._jobs = deque(plan.todo)
        self._said_waiting = False

    def __len__(self) -> int:
        return len(self._jobs)

    def next(self) -> Job | None:
        """The next job, None at the end."""
        return self._jobs.popleft() if self._jobs else None

    def put_first(self, job: Job) -> None:
        """Repeat a job at once."""
        self._jobs.appendleft(job)

    def put_off(self, job: Job) -> None:
        """Repeat a job at the end; log once that nothing else is left."""
        self._jobs.append(replace(job, patience=PATIENCE))
        if not self._said_waiting and all(other.patience for other in self._jobs):
            self._said_waiting = True
            log.info("other processes are working on the rest: waiting for them")
