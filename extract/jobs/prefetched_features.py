"""Features that worker processes extract in advance, while those of earlier videos are read."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from extract.errors import ExtractError
from extract.features.feature_file import Features
from extract.jobs.plan import Event, Job, Plan, common_folder, in_memory
from extract.jobs.resources import Division, divide_for
from extract.jobs.store import Callbacks, FeatureFolder, FeatureStore
from extract.jobs.video_job import ExtractorOptions
from extract.jobs.workers import events_of_workers
from extract.pipeline.accumulator import OnProgress
from extract.sources.find import VideoInput

if TYPE_CHECKING:
    from extract.pipeline.extractor import Extractor


@contextlib.contextmanager
def prefetched(
    store: FeatureStore,
    videos: Sequence[VideoInput],
    extractor: "Extractor",
    device: str,
    jobs: int | None = None,
) -> Iterator[tuple[FeatureStore, Division]]:
    """A store whose missing features several processes extract, if that pays.

    Args:
        store: where features are kept.
        videos: those whose features will be requested, in this order.
        extractor: of this process; the others get one of the same settings.
        device: of the other processes.
        jobs: number of processes; None leaves it to `extract.jobs.resources.divide`. With one, the
            store itself is given, and features are extracted in this process.
    """
    todo = [
        video for video in videos if not in_memory(video.path) and not store.has(video, extractor)
    ]
    division = divide_for(extractor, todo, device, jobs)
    if division.workers == 1:
        yield store, division
        return
    options = ExtractorOptions(extractor.settings, device, extractor.decoding)
    with contextlib.ExitStack() as stack:
        filled = store
        if not isinstance(filled, FeatureFolder) or not filled.can_write():
            temporary = tempfile.TemporaryDirectory(prefix="basnet-features-")
            filled = FeatureFolder(Path(stack.enter_context(temporary)))
        else:
            todo = [video for video in todo if filled.name_of(video, extractor) is not None]
        plan = Plan(filled, tuple(map(Job, todo)), failures=None, videos_folder=common_folder(todo))
        events = stack.enter_context(contextlib.closing(events_of_workers(plan, options, division)))
        yield PrefetchedFeatures(store, plan, events), division


class PrefetchedFeatures(FeatureStore):
    """A store whose missing features worker processes extract, in the order of the videos.

    Args:
        store: where features are kept; those of other videos come from it.
        plan: what the processes extract, and into which folder.
        events: those of the processes.
    """

    def __init__(self, store: FeatureStore, plan: Plan, events: Iterator[Event]) -> None:
        self._store = store
        self._filled = plan.store
        self._open = {job.video.id for job in plan.todo}
        self._ended: dict[str, Event] = {}
        self._events = events

    def features(
        self, video: VideoInput, extractor: "Extractor", **callbacks: Unpack[Callbacks]
    ) -> Features:
        """Those that a process extracts, once they are done; else those of the store.

        Raises:
            ExtractError: a process could not extract them; the message says why.
        """
        event = self._end_of(video, callbacks.get("on_progress"))
        if event is None:
            return self._store.features(video, extractor, **callbacks)
        if event.kind == "failed":
            raise ExtractError(event.message)
        made = self._filled.features(video, extractor, **callbacks)
        if self._filled is not self._store:
            (self._filled.output.local / f"{video.id}.safetensors").unlink(missing_ok=True)
        return made

    def _end_of(self, video: VideoInput, on_progress: OnProgress | None) -> Event | None:
        """Wait for the video's last event; None if no process works on it."""
        while video.id in self._open and video.id not in self._ended:
            event = next(self._events, None)
            if event is None:  # an error ended all processes
                return None
            if event.kind == "progress" and event.video.id == video.id and on_progress is not None:
                on_progress(event.done, event.total)
            if event.kind not in ("start", "progress"):
                self._ended[event.video.id] = event
        self._open.discard(video.id)  # the next request goes to the store
        return self._ended.pop(video.id, None)
