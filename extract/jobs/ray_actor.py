"""What works on one machine of a Ray cluster; ``extract.jobs.ray_cluster`` gives it videos."""

import hashlib
import logging
import os
import platform
import queue
import threading
from dataclasses import dataclass
from logging.handlers import QueueHandler
from pathlib import Path
from typing import TYPE_CHECKING

from extract.jobs.plan import Event, Job, Plan
from extract.jobs.video_job import ExtractorOptions, work_on
from extract.jobs.workers import portable

if TYPE_CHECKING:
    from extract.pipeline.extractor import Extractor

PACKAGE = Path(__file__).resolve().parents[2]


class _Stopped(BaseException):
    """Raised within a video when its actor is stopped."""


@dataclass(frozen=True)
class Machine:
    """What an actor finds on its machine: its name, hash of the program, which files it sees."""

    host: str
    code: str
    sees: tuple[bool, ...]


class Actor:
    """Body of an actor. Ray runs its other methods beside ``work``."""

    def __init__(
        self, plan: Plan, options: ExtractorOptions, threads: int, environment: dict[str, str]
    ) -> None:
        os.environ.update(environment)
        self._plan, self._options, self._threads = plan, options, threads
        self._extractor: Extractor | None = None
        self._last: Event | None = None
        self._stop = threading.Event()
        # After a connection that seemed lost, the last video may still be running.
        self._alone = threading.Lock()
        self._warnings: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        handler = QueueHandler(self._warnings)
        handler.setLevel(logging.WARNING)
        logging.getLogger("extract").addHandler(handler)

    def machine(self, files: tuple[Path, ...]) -> Machine:
        """Describe this machine."""
        return Machine(platform.node(), code_hash(), tuple(path.exists() for path in files))

    def work(self, job: Job) -> tuple[Event | Exception | None, list[str]]:
        """Extract a video; what stops all videos is returned, not raised.

        Returns:
            How the video ended (None: by `stop`), and the warnings.
        """
        event: Event | Exception | None
        try:
            with self._alone:
                event = self._work(job)
        except _Stopped:
            event = None
        except Exception as error:
            event = portable(error)
        lines = [self._warnings.get().getMessage() for _ in range(self._warnings.qsize())]
        return event, lines

    def _work(self, job: Job) -> Event:
        self._last = None
        if self._extractor is None:
            self._extractor = self._options.make_extractor()
            self._extractor.use_threads(self._threads)
        self._extractor.load()
        return work_on(job, self._plan, self._extractor, self._on_event)

    def _on_event(self, event: Event) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._last = event

    def progress(self) -> Event | None:
        """The last event of the current video."""
        return self._last

    def stop(self) -> None:
        """End the current video at its next snippets."""
        self._stop.set()


def code_hash() -> str:
    """Hash of the program that makes features: equal ones give equal bytes."""
    digest = hashlib.sha256()
    for package in ("weights", "extract"):
        for path in sorted((PACKAGE / package).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
