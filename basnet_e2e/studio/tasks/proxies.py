"""Copies of videos for browsers that cannot play them, made one at a time when asked for."""

import threading
from pathlib import Path
from typing import Any

from basnet_e2e.studio.catalogue import Video, key_of
from basnet_e2e.studio.tasks.job import Job
from weights.files import cache_folder


class Proxies:
    """The child process that makes copies, in the cache folder."""

    def __init__(self) -> None:
        self.job = Job(self._on_event, self._ended)
        self._lock = threading.Lock()
        self._current: dict[str, Any] = {}

    def path(self, video: Video) -> Path:
        """Where the copy of a video is kept."""
        return cache_folder() / "studio" / f"{key_of(str(video.path))}-{video.stamp}.mp4"

    def make(self, video: Video) -> dict[str, Any]:
        """Make the copy of a video; how far it is. Who asks while another is made has to wait."""
        with self._lock:
            if self.path(video).is_file():
                return {"ready": True}
            mine = self._current.get("key") == video.key
            if mine and self._current.get("error"):
                return dict(self._current)
            if not self.job.running:
                self._current = {"key": video.key, "ready": False, "done": 0, "of": 0}
                self.job.start("proxy", source=video.path, target=self.path(video))
                mine = True
            return dict(self._current) if mine else {"ready": False}

    def _on_event(self, event: dict[str, Any]) -> None:
        self._current |= {"done": event["done"], "of": event["of"]}

    def _ended(self, code: int) -> None:
        if self.job.error:
            self._current["error"] = self.job.error
