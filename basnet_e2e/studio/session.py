"""One running studio: project, videos, previews and tasks, and what pages show of them."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization
from basnet_e2e.report.evidence import Evidence, find_evidence
from basnet_e2e.studio.catalogue import Catalogue, Video
from basnet_e2e.studio.previews import Previews
from basnet_e2e.studio.project.annotation import known_of
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.project.project import RESULTS, Project
from basnet_e2e.studio.tasks.extraction import Extraction
from basnet_e2e.studio.tasks.learning import Learning
from basnet_e2e.studio.tasks.proxies import Proxies
from basnet_e2e.studio.tasks.runs import NEXT

SCAN = 2.0  # seconds between two looks at the folders


class Session:
    """What the server serves. Its methods may be called from any thread.

    Args:
        videos: folder of videos.
        folder: of the project.
        how: how features of a new project are made.

    Attributes:
        name: of the project, for people.
    """

    def __init__(self, videos: Path, folder: Path, how: dict[str, Any]) -> None:
        self.videos, self.folder = videos.resolve(), folder.resolve()
        self.name = self.videos.name
        self._bumps = 0
        self._row_bumps: dict[str, int] = {}
        self._lock = threading.RLock()
        self._results: dict[str, float] = {}
        self._next: list[dict[str, str]] = []
        self._closed = threading.Event()
        self.project = Project(self.folder, how)
        self.catalogue = Catalogue(self.videos)
        self.previews = Previews(self.folder / HIDDEN / "previews", self._previewed)
        self.extraction = Extraction(self.videos, self.project, self._bump, self._extracted)
        self.learning = Learning(self.folder, self._bump, self._learnt)
        self.proxies = Proxies()
        self._scan()
        threading.Thread(target=self._follow, daemon=True, name="scan").start()

    def close(self) -> None:
        """Stop all work; what is done is kept."""
        self._closed.set()
        self.previews.close()
        jobs = (self.extraction.job, self.learning.job, self.proxies.job)
        for job in jobs:
            job.stop()
        for job in jobs:
            job.close()

    # Following the folders ----------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._closed.wait(SCAN):
            try:
                self._scan()
            except OSError:
                continue  # a folder that is changing; the next scan sees it

    def _scan(self) -> None:
        changed = self.catalogue.scan()
        self.project.refresh(self.catalogue.ids)
        if changed:
            self.previews.offer(self.catalogue.videos.values())
        touched = self.extraction.refresh(self._all())
        results = {}
        for video in self._all():
            path = self._result_path(video.id)
            if path.is_file():
                results[video.id] = path.stat().st_mtime
        with self._lock:
            touched |= {id for id, _ in results.items() ^ self._results.items()}
            if changed or touched:
                self._results = results
                path = self.folder / HIDDEN / NEXT
                self._next = json.loads(path.read_text("utf-8")) if path.is_file() else []
                self._bump(self.catalogue.ids if changed else touched)

    def _extracted(self) -> None:
        """The extraction has ended: let the model look at what is new."""
        new = self.extraction.done - self._results.keys()
        if new and self.learning.has_model and not self.learning.job.running:
            self.learning.look()

    def _learnt(self) -> None:
        self._scan()
        self._bump(self.catalogue.ids)

    def _all(self) -> list[Video]:
        return list(self.catalogue.videos.values())

    def _result_path(self, video: str) -> Path:
        return self.folder / RESULTS / f"{video}.json"

    def _bump(self, videos: Iterable[str] = ()) -> None:
        with self._lock:
            self._bumps += 1
            for video in videos:
                self._row_bumps[video] = self._bumps

    def _previewed(self, key: str) -> None:
        video = self.catalogue.videos.get(key)
        self._bump([video.id] if video else [])

    # What pages show ----------------------------------------------------------------------------

    def video(self, key: str) -> Video | None:
        """The video that an address means."""
        return self.catalogue.videos.get(key)

    def duration(self, video: Video) -> float | None:
        """Seconds, where they are known."""
        preview = self.previews.of(video)
        return preview.duration if preview and preview.duration else None

    def durations(self) -> dict[str, float]:
        """Seconds by id, of all videos whose length is known."""
        return {video.id: each for video in self._all() if (each := self.duration(video))}

    def status(self) -> dict[str, Any]:
        """All but the videos."""
        content = self.project.content
        here = {video.id for video in self._all()}
        known = known_of(each for id, each in content.videos.items() if id in here)
        return {
            "problem": self.project.problem,
            "folder": str(self.videos),
            "project": str(self.folder),
            "classes": [
                {"name": name, "colour": place, "videos": known.classes.get(name, 0)}
                for name, place in ((each, content.colours[each]) for each in content.classes)
            ],
            "undo": self.project.can_undo,
            "known": known.to_json(),
            "strangers": sorted(content.videos.keys() - here)[:20],
            "features": self.extraction.status(self.duration),
            "training": self.learning.status(),
        }

    def rows(self, since: tuple[int, int] = (0, 0)) -> list[dict[str, Any]]:
        """Rows of the list that have changed since two revisions, of project and session."""
        places = {each["video"]: (n, each["why"]) for n, each in enumerate(self._next)}
        return [
            self._row(video, places.get(video.id))
            for video in self._all()
            if since == (0, 0)
            or self.project.changed.get(video.id, 0) > since[0]
            or self._row_bumps.get(video.id, 0) > since[1]
        ]

    def revisions(self) -> tuple[int, int]:
        """Of project and session, for :meth:`rows`."""
        return self.project.revision, self._bumps

    def _row(self, video: Video, place: tuple[int, str] | None) -> dict[str, Any]:
        annotation = self.project.content.of(video.id)
        preview = self.previews.of(video)
        features, share = self.extraction.state(video.id)
        error = video.problem or (preview.error if preview else "")
        error = error or self.extraction.failures.get(video.id, "")
        if features != "done" and error:
            features = "failed"
        return {
            "key": video.key,
            "name": video.id,
            "stamp": video.stamp,
            "duration": preview.duration if preview else None,
            "strip": bool(preview and preview.duration),
            "state": annotation.state,
            "labels": list(annotation.labels or ()),
            "version": annotation.version,
            "held_out": video.id in self.project.content.held_out,
            "features": features,
            "share": round(share, 2),
            "error": error.replace(f"{self.videos}/", ""),
            "found": video.id in self._results,
            "place": None if place is None or annotation.state == "corrected" else place[0],
            "why": place[1] if place else "",
        }

    def why(self, video: str) -> str:
        """Why people should look at a video; empty where there is no reason."""
        if self.project.content.of(video).state == "corrected":
            return ""
        return next((each["why"] for each in self._next if each["video"] == video), "")

    def after(self, key: str) -> Video | None:
        """The video to continue with: the next that teaches much, or has no label."""
        videos = {video.id: video for video in self._all() if not video.problem}
        here = self.video(key)
        content = self.project.content
        open_ = [each["video"] for each in self._next]
        open_ = [id for id in open_ if id in videos and content.of(id).state != "corrected"]
        if not open_:
            ids = list(videos)
            at = ids.index(here.id) + 1 if here and here.id in videos else 0
            order = [id for id in ids[at:] + ids[:at] if here is None or id != here.id]
            open_ = [id for id in order if content.of(id).state == "unlabelled"] or order
        elif here and here.id in open_:
            at = open_.index(here.id) + 1
            open_ = open_[at:] + open_[: at - 1]
        return videos[open_[0]] if open_ else None

    def result(self, video: str) -> tuple[Localization | None, Evidence | None]:
        """What the model found in a video, and its curves."""
        path = self._result_path(video)
        try:
            return read_results(path)[0][0], find_evidence(path, video)
        except BasnetError:
            return None, None
