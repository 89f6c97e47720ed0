"""One running studio: project, videos, previews and jobs, and what a page is told of them."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization
from basnet_e2e.report.evidence import Evidence, find_evidence
from basnet_e2e.studio.annotation import known_of
from basnet_e2e.studio.catalogue import Catalogue, Video, key_of
from basnet_e2e.studio.documents import HIDDEN
from basnet_e2e.studio.jobs import Job
from basnet_e2e.studio.previews import Previews
from basnet_e2e.studio.project import FEATURES, MODEL, PREVIOUS, RESULTS, Project
from basnet_e2e.studio.runs import NEXT, RUN, read_runs, restore
from extract.features.failure_lists import FAILURES
from extract.features.feature_file import SUFFIX
from weights.files import cache_folder

SCAN = 2.0  # seconds between two looks at the folders
POINTS = 300  # of the curves of a run that the page is sent


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
        self.project = Project(self.folder, how)
        self.catalogue = Catalogue(self.videos)
        self.previews = Previews(self.folder / HIDDEN / "previews", self._previewed)
        self.features = Job(self._feature_event, self._features_ended)
        self.training = Job(self._training_event, self._training_ended)
        self.proxies = Job(self._proxy_event, lambda code: self._bump())
        self.paused = False
        self._bumps = 0
        self._row_bumps: dict[str, int] = {}
        self._lock = threading.RLock()
        self._extracted: set[str] = set()
        self._failures: dict[str, str] = {}
        self._tried: set[str] = set()
        self._working: dict[str, dict[str, Any]] = {}
        self._pace = (0.0, 0.0)  # seconds of video done, seconds spent
        self._run: dict[str, Any] = {}
        self._stopping = False
        self._proxy: dict[str, Any] = {}
        self._results: dict[str, float] = {}
        self._next: list[dict[str, str]] = []
        self._closed = threading.Event()
        self._scan()
        threading.Thread(target=self._follow, daemon=True, name="scan").start()

    def close(self) -> None:
        """Stop all work; what is done is kept."""
        self._closed.set()
        self.previews.close()
        for job in (self.features, self.training, self.proxies):
            job.stop()
        for job in (self.features, self.training, self.proxies):
            job.close()

    # Following the folders ----------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._closed.wait(SCAN):
            try:
                self._scan()
            except OSError:
                continue  # a folder in the middle of a change; the next look tells

    def _scan(self) -> None:
        changed = self.catalogue.scan()
        self.project.refresh(self.catalogue.ids)
        if changed:
            self.previews.offer(self.catalogue.videos.values())
        extracted = {video.id for video in self._all() if self._feature_path(video).is_file()}
        results = {}
        for video in self._all():
            path = self._result_path(video.id)
            if path.is_file():
                results[video.id] = path.stat().st_mtime
        failures = self._read_failures()
        with self._lock:
            parts = (extracted, failures, results)
            if changed or parts != (self._extracted, self._failures, self._results):
                touched = extracted ^ self._extracted
                touched |= {id for id, _ in failures.items() ^ self._failures.items()}
                touched |= {id for id, _ in results.items() ^ self._results.items()}
                self._extracted, self._failures, self._results = parts
                path = self.folder / HIDDEN / NEXT
                self._next = json.loads(path.read_text("utf-8")) if path.is_file() else []
                self._bump(self.catalogue.ids if changed else touched)
        self._extract_what_is_missing()

    def _all(self) -> list[Video]:
        return list(self.catalogue.videos.values())

    def _feature_path(self, video: Video) -> Path:
        return self.folder / FEATURES / f"{video.id}{SUFFIX}"

    def _result_path(self, video: str) -> Path:
        return self.folder / RESULTS / f"{video}.json"

    def _read_failures(self) -> dict[str, str]:
        path = self.folder / FEATURES / FAILURES
        try:
            rows = json.loads(path.read_text("utf-8"))["failed"]
            return {str(row["video"]): str(row["error"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _bump(self, videos: Iterable[str] = ()) -> None:
        with self._lock:
            self._bumps += 1
            for video in videos:
                self._row_bumps[video] = self._bumps

    def _previewed(self, key: str) -> None:
        video = self.catalogue.videos.get(key)
        self._bump([video.id] if video else [])

    # Features -----------------------------------------------------------------------------------

    def _missing(self) -> list[Video]:
        return [
            video for video in self._all() if not video.problem and video.id not in self._extracted
        ]

    def _extract_what_is_missing(self) -> None:
        """Start the child where a video lacks features that was not tried since it changed."""
        wanted = {f"{video.id} {video.stamp}" for video in self._missing()}
        if self.paused or self.features.running or not wanted - self._tried:
            return
        self._tried |= wanted
        how = dict(self.project.content.features)
        self.features.start("features", videos=self.videos, folder=self.folder / FEATURES, **how)
        self._bump()

    def _feature_event(self, event: dict[str, Any]) -> None:
        video, kind = str(event.get("video")), event["event"]
        with self._lock:
            if kind in ("done", "failed", "elsewhere"):
                self._working.pop(video, None)
            else:
                self._working[video] = event
            if kind == "done":
                self._extracted.add(video)
                spent, took = float(event.get("duration", 0)), float(event.get("seconds", 0))
                self._pace = (self._pace[0] + spent, self._pace[1] + took)
            if kind == "failed":
                self._failures[video] = str(event.get("message", ""))
        self._bump([video])

    def _features_ended(self, code: int) -> None:
        working, self._working = self._working, {}
        self._bump(working)
        with self._lock:
            new = self._extracted - self._results.keys()
            if new and (self.folder / MODEL).is_file() and not self.training.running:
                self._look()

    def pause(self, paused: bool) -> None:
        """Pause the extraction of features, or go on with it and try again what failed."""
        self.paused = paused
        if paused:
            self.features.stop()
        else:
            self._tried = set()
            self._extract_what_is_missing()
        self._bump()

    def _feature_status(self) -> dict[str, Any]:
        videos = [video for video in self._all() if not video.problem]
        left = 0.0
        for video in self._missing():
            preview = self.previews.of(video)
            event = self._working.get(video.id, {})
            share = event.get("done", 0) / max(event.get("total", 0), 1)
            if video.id not in self._failures:
                left += (preview.duration if preview else 0.0) * (1 - share)
        spent = self._pace[1] / self._pace[0] if self._pace[0] else None
        return {
            "how": dict(self.project.content.features),
            "running": self.features.running,
            "paused": self.paused,
            "done": sum(video.id in self._extracted for video in videos),
            "of": len(videos),
            "failed": sum(video.id in self._failures for video in videos),
            "left": None if spent is None else round(left * spent),
            "pace": None if not spent else round(1 / spent, 2),
            "error": self.features.error,
        }

    # Training -----------------------------------------------------------------------------------

    def train(self, *, resume: bool = False) -> None:
        """Start training.

        Raises:
            BasnetError: a run is in hand, or there is none to go on with.
        """
        if resume and not self._can_resume():
            raise BasnetError("there is no stopped run to continue")
        with self._lock:
            if self.training.running:
                raise BasnetError("training is running already")
            self._run, self._stopping = {"loss": [], "live": [], "kind": "train"}, False
            self.training.start("train", project=self.folder, resume=resume)
        self._bump()

    def _look(self) -> None:
        """Let the model look at every video."""
        self._run, self._stopping = {"loss": [], "live": [], "kind": "look"}, False
        self.training.start("look", project=self.folder)
        self._bump()

    def check(self) -> None:
        """Score the model on what was corrected and not learnt from."""
        with self._lock:
            if self.training.running:
                raise BasnetError("training is running already")
            self._run, self._stopping = {"loss": [], "live": [], "kind": "check"}, False
            self.training.start("check", project=self.folder)
        self._bump()

    def stop_training(self) -> None:
        """Stop the run; its state is kept."""
        self._stopping = True
        self.training.stop()
        self._bump()

    def restore(self) -> None:
        """Exchange the model with the one before it.

        Raises:
            BasnetError: a run is in hand, or there is no model before.
        """
        with self._lock:
            if self.training.running:
                raise BasnetError("wait until the training has ended")
            restore(self.folder)
            self._look()

    def _can_resume(self) -> bool:
        return (self.folder / HIDDEN / RUN / f"{MODEL}.state").is_file()

    def _training_event(self, event: dict[str, Any]) -> None:
        with self._lock:
            run = self._run
            if event["event"] == "step":
                run["step"], run["of"], run["left"] = event["step"], event["of"], event["left"]
                run["loss"].append([event["step"], event["loss"]])
                if len(run["loss"]) > POINTS:
                    run["loss"] = run["loss"][::2]
                live = {name: event[name] for name in ("recognition", "map") if name in event}
                if live:
                    run["live"].append([event["step"], live])
            else:
                run[event["event"]] = {k: v for k, v in event.items() if k != "event"}
        self._bump()

    def _training_ended(self, code: int) -> None:
        self._run["stopped"] = self._stopping
        self._scan()
        self._bump(self.catalogue.ids)

    def _training_status(self) -> dict[str, Any]:
        model = self.folder / MODEL
        return {
            "running": self.training.running,
            "stopping": self._stopping and self.training.running,
            "run": self._run,
            "error": self.training.error,
            "can_resume": not self.training.running and self._can_resume(),
            "model": model.is_file(),
            "previous": (self.folder / PREVIOUS).is_file(),
            "runs": [
                {key: value for key, value in run.items() if key != "trained"}
                for run in read_runs(self.folder)[-20:]
            ],
        }

    # Videos that the browser cannot play --------------------------------------------------------

    def proxy_path(self, video: Video) -> Path:
        """Where the copy of a video is kept."""
        return cache_folder() / "studio" / f"{key_of(str(video.path))}-{video.stamp}.mp4"

    def make_proxy(self, video: Video) -> dict[str, Any]:
        """Make a copy that browsers play; how far it is.

        One copy is made at a time; whoever asks again has the next turn.
        """
        path = self.proxy_path(video)
        with self._lock:
            if path.is_file():
                return {"ready": True}
            if self._proxy.get("key") == video.key and self._proxy.get("error"):
                return dict(self._proxy)
            if not self.proxies.running:
                self._proxy = {"key": video.key, "ready": False, "done": 0, "of": 0}
                self.proxies.start("proxy", source=video.path, target=path)
            found = self._proxy if self._proxy.get("key") == video.key else {"ready": False}
            return dict(found)

    def _proxy_event(self, event: dict[str, Any]) -> None:
        self._proxy |= {"done": event["done"], "of": event["of"]}

    # What a page is told ------------------------------------------------------------------------

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

    def revision(self) -> int:
        """Rises with everything that a page shows."""
        return self.project.revision + self._bumps

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
            "features": self._feature_status(),
            "training": self._training_status(),
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
        preview, working = self.previews.of(video), self._working.get(video.id)
        error = video.problem or (preview.error if preview else "")
        error = error or self._failures.get(video.id, "")
        features = "done" if video.id in self._extracted else "working" if working else "waiting"
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
            "share": round(working.get("done", 0) / max(working.get("total", 0), 1), 2)
            if working
            else 0,
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
        """The video to go on with after one: the next that teaches much, or has no label."""
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
