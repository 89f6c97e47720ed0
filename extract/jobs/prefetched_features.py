"""Features that worker processes make while those of earlier videos are read."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.features.feature_file import Features, feature_path
from extract.features.missing_folders import common_folder
from extract.jobs.cleanup import in_one_process
from extract.jobs.plan import Event, Plan
from extract.jobs.resources import Division, divide, sizes_of
from extract.jobs.run import WorkerOptions
from extract.jobs.store import FeatureFolder, FeatureStore
from extract.jobs.workers import events_of_workers
from extract.pipeline.extractor import Extractor
from extract.sources.find import VideoInput


@contextlib.contextmanager
def made_ahead(
    store: FeatureStore,
    videos: Sequence[VideoInput],
    extractor: Extractor,
    options: WorkerOptions,
    jobs: int | None = None,
) -> Iterator[tuple[FeatureStore, Division]]:
    """A store whose missing features several processes make, where that pays.

    Args:
        store: where features are kept.
        videos: those whose features will be asked for, in this order.
        extractor: of this process, for all that the processes are not given.
        options: what each process makes its extractor from.
        jobs: how many there are; None leaves it to `extract.jobs.resources.divide`. With one, the
            store itself is given, and its features are made in this process.
    """
    todo = [
        video
        for video in videos
        if not in_one_process(video.path) and not store.has(video, extractor)
    ]
    sizes = list(sizes_of(todo).values())
    weights = extractor.backbone.weights_bytes()
    division = divide(
        extractor.backbone.record, options.settings.streams, sizes, options.device, jobs, weights
    )
    if division.workers == 1:
        yield store, division
        return
    with FeaturesAhead(store, todo, options, division) as ahead:
        yield ahead, division


class FeaturesAhead:
    """A store of which several processes make what is not kept yet, in the order of the videos.

    Features of any other video come from the store itself. A context manager: its end is that of
    the processes.

    Args:
        store: where features are kept.
        videos: those that the processes are given.
        options: what each process makes its extractor from.
        division: how many processes there are, and what they compute on.
    """

    def __init__(
        self,
        store: FeatureStore,
        videos: Sequence[VideoInput],
        options: WorkerOptions,
        division: Division,
    ) -> None:
        self._store = store
        self._own = contextlib.ExitStack()
        if isinstance(store, FeatureFolder):
            folder = store.folder
        else:
            made = tempfile.TemporaryDirectory(prefix="basnet-features-")
            folder = Path(self._own.enter_context(made))
        todo = tuple(videos)
        plan = Plan(folder, todo, (), failures=None, source=common_folder(todo))
        self._folder = folder
        self._open = {video.id for video in plan.todo}
        self._ended: dict[str, Event] = {}
        devices = division.devices if len(division.devices) > 1 else ()
        self._events = events_of_workers(plan, options, division.workers, devices)
        self._own.enter_context(contextlib.closing(self._events))

    def __enter__(self) -> "FeaturesAhead":
        return self

    def __exit__(self, *error: object) -> None:
        self._own.close()

    def has(self, video: VideoInput, extractor: Extractor) -> bool:
        """Whether the store has them."""
        return self._store.has(video, extractor)

    def keep(self, video: VideoInput, made: Features) -> None:
        """Put them into the store."""
        self._store.keep(video, made)

    def features(
        self, video: VideoInput, extractor: Extractor, *, keep_partial: bool, **how: Any
    ) -> Features:
        """Those that a process makes of the video, once it is done; else those of the store.

        Raises:
            ExtractError: a process could not make them; the message says why.
        """
        event = self._end_of(video, how.get("progress"))
        if event is not None and event.kind == "failed":
            raise ExtractError(event.message)
        path = feature_path(self._folder, video.id)
        if event is None or isinstance(self._store, FeatureFolder):
            return self._store.features(video, extractor, keep_partial=keep_partial, **how)
        made = Features.load(path)
        path.unlink()
        self._store.keep(video, made)
        return made

    def _end_of(self, video: VideoInput, progress: Any) -> Event | None:
        """Its last event, waited for; None where no process was given the video."""
        while video.id in self._open and video.id not in self._ended:
            event = next(self._events, None)
            if event is None:  # an error ended them all
                return None
            if event.kind == "progress" and event.video.id == video.id and progress is not None:
                progress(event.done, event.total)
            if event.kind not in ("start", "progress"):
                self._ended[event.video.id] = event
        self._open.discard(video.id)  # asked for once more it comes from the store
        return self._ended.pop(video.id, None)
