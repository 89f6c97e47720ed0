"""What works on one machine of a Ray cluster; ``extract.jobs.ray_cluster`` gives it videos."""

import hashlib
import logging
import os
import platform
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.jobs.plan import Event, Plan, Task
from extract.jobs.run import WorkerOptions, extract_one
from extract.jobs.workers import portable

PACKAGE = Path(__file__).resolve().parents[2]


class _Stopped(BaseException):
    """Raised amid a video whose slot was told to stop."""


@dataclass(frozen=True)
class Greeting:
    """What a slot finds on its machine.

    Attributes:
        host: its name.
        code: hash of the program there.
        sees: whether each of the files asked for is there.
    """

    host: str
    code: str
    sees: tuple[bool, ...]


class Slot:
    """Body of an actor. Ray runs its other methods beside ``work``."""

    def __init__(
        self, plan: Plan, options: WorkerOptions, threads: int, environment: dict[str, str]
    ) -> None:
        os.environ.update(environment)
        self._plan, self._options, self._threads = plan, options, threads
        self._extractor: Any = None
        self._last: Event | None = None
        self._stop = threading.Event()
        # A connection that is taken for lost may leave the last video in hand.
        self._alone = threading.Lock()
        self._said = _Said()
        logging.getLogger("extract").addHandler(self._said)

    def greet(self, files: tuple[Path, ...]) -> Greeting:
        """Say what this machine has."""
        return Greeting(platform.node(), code_hash(), tuple(path.exists() for path in files))

    def work(self, task: Task) -> tuple[Event | Exception | None, list[str]]:
        """Extract a video; what stops all of them is given back, not raised.

        Returns:
            How the video ended (None: it was told to stop), and warnings on the way.
        """
        try:
            with self._alone:
                event = self._work(task)
        except _Stopped:
            return None, self._said.take()
        except Exception as error:
            return portable(error), self._said.take()
        return event, self._said.take()

    def _work(self, task: Task) -> Event:
        self._last = None
        if self._extractor is None:
            self._extractor = self._options.make_extractor()
            self._extractor.use_threads(self._threads)
        self._extractor.load()
        how = (self._options.keep_partial, self._options.decoder)
        return extract_one(task, self._plan, self._extractor, *how, self._hear)

    def _hear(self, event: Event) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._last = event

    def look(self) -> Event | None:
        """How far the video in hand is."""
        return self._last

    def stop(self) -> None:
        """End the video in hand at its next snippets."""
        self._stop.set()


class _Said(logging.Handler):
    """Warnings, kept until they are taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def take(self) -> list[str]:
        """All since the last time."""
        lines = list(self._lines)
        self._lines.clear()
        return lines


def code_hash() -> str:
    """Hash of the program that makes features: equal ones give equal bytes."""
    digest = hashlib.sha256()
    for package in ("weights", "extract"):
        for path in sorted((PACKAGE / package).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
