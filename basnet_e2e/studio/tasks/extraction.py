"""Features of all videos, made in the background from the moment a video is known."""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from basnet_e2e.studio.catalogue import Video
from basnet_e2e.studio.project.project import FEATURES, Project
from basnet_e2e.studio.tasks.job import Job
from extract.features.failure_lists import read_failures, read_replaceable
from extract.features.feature_file import SUFFIX


class Extraction:
    """The child process that makes features, and how far it is.

    Args:
        videos: folder of videos.
        project: says how features are made.
        on_change: called with ids of videos whose state has changed.
        on_end: called when the child has ended.
    """

    def __init__(
        self,
        videos: Path,
        project: Project,
        on_change: Callable[[Iterable[str]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._videos, self._project = videos, project
        self._folder = project.folder / FEATURES
        self._on_change, self._on_end = on_change, on_end
        self.job = Job(self._on_event, self._ended)
        self.done: set[str] = set()
        self.failures: dict[str, str] = {}
        self._lock = threading.Lock()
        self._known: list[Video] = []
        self._paused = False
        self._tried: set[str] = set()
        self._working: dict[str, dict[str, Any]] = {}
        self._pace = (0.0, 0.0)  # seconds of video done, seconds spent

    def refresh(self, videos: Sequence[Video]) -> set[str]:
        """Look at the folder and start the child where something is missing; ids that changed."""
        self._known = [video for video in videos if not video.problem]
        folder = self._folder
        done = {video.id for video in self._known if (folder / f"{video.id}{SUFFIX}").is_file()}
        failures = read_failures(folder, read_replaceable) if folder.is_dir() else {}
        with self._lock:
            changed = done ^ self.done
            changed |= {video for video, _ in failures.items() ^ self.failures.items()}
            self.done, self.failures = done, failures
        self._start()
        return changed

    def pause(self, paused: bool) -> None:
        """Pause, or resume and try again what failed."""
        self._paused = paused
        if paused:
            self.job.stop()
        else:
            self._tried = set()
            self._start()
        self._on_change(())

    def state(self, video: str) -> tuple[str, float]:
        """``done``, ``working`` (with the share that is done) or ``waiting``."""
        if video in self.done:
            return "done", 1.0
        working = self._working.get(video)
        if working is None:
            return "waiting", 0.0
        return "working", working.get("done", 0) / max(working.get("total", 0), 1)

    def status(self, duration: Callable[[Video], float | None]) -> dict[str, Any]:
        """What the page shows.

        Args:
            duration: seconds of a video, where they are known.
        """
        left = sum(
            (duration(video) or 0.0) * (1 - self.state(video.id)[1])
            for video in self._known
            if video.id not in self.done and video.id not in self.failures
        )
        spent = self._pace[1] / self._pace[0] if self._pace[0] else None
        return {
            "how": dict(self._project.content.features),
            "running": self.job.running,
            "paused": self._paused,
            "done": len(self.done),
            "of": len(self._known),
            "failed": sum(video.id in self.failures for video in self._known),
            "left": None if spent is None else round(left * spent),
            "pace": None if not spent else round(1 / spent, 2),
            "error": self.job.error,
        }

    def _start(self) -> None:
        """Start the child where a video lacks features that was not tried since it changed."""
        wanted = {f"{video.id} {video.stamp}" for video in self._known if video.id not in self.done}
        if self._paused or self.job.running or not wanted - self._tried:
            return
        self._tried |= wanted
        how = dict(self._project.content.features)
        self.job.start("features", videos=self._videos, folder=self._folder, **how)
        self._on_change(())

    def _on_event(self, event: dict[str, Any]) -> None:
        video, kind = str(event.get("video")), event["event"]
        with self._lock:
            if kind in ("done", "failed", "elsewhere"):
                self._working.pop(video, None)
            else:
                self._working[video] = event
            if kind == "done":
                self.done.add(video)
                spent, took = float(event.get("duration", 0)), float(event.get("seconds", 0))
                self._pace = (self._pace[0] + spent, self._pace[1] + took)
            if kind == "failed":
                self.failures[video] = str(event.get("message", ""))
        self._on_change([video])

    def _ended(self, code: int) -> None:
        working, self._working = self._working, {}
        self._on_change(working)
        self._on_end()
