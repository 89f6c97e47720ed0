"""Training, checking and looking with a model: one child process at a time, and how far it is."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.project.project import MODEL, PREVIOUS
from basnet_e2e.studio.tasks.job import Job
from basnet_e2e.studio.tasks.runs import RUN, read_runs, restore

POINTS = 300  # of the loss curve that the page is sent
SHOWN_RUNS = 20


class Learning:
    """The child process of one project.

    Args:
        folder: the project.
        on_change: called when something has changed.
        on_end: called when the child has ended.
    """

    def __init__(
        self, folder: Path, on_change: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        self._folder, self._on_change, self._on_end = folder, on_change, on_end
        self.job = Job(self._on_event, self._ended)
        self._lock = threading.RLock()
        self._run: dict[str, Any] = {}
        self._stopping = False

    @property
    def has_model(self) -> bool:
        """Whether a model was trained."""
        return (self._folder / MODEL).is_file()

    @property
    def _can_resume(self) -> bool:
        return (self._folder / HIDDEN / RUN / f"{MODEL}.state").is_file()

    def train(self, *, resume: bool = False) -> None:
        """Train on what is known, or continue the run that was stopped.

        Raises:
            BasnetError: a child works already, or there is no run to continue.
        """
        if resume and not self._can_resume:
            raise BasnetError("there is no stopped run to continue")
        self._start("train", resume=resume)

    def check(self) -> None:
        """Score the model on what was corrected and not learnt from."""
        self._start("check")

    def look(self) -> None:
        """Let the model look at every video."""
        self._start("look")

    def stop(self) -> None:
        """Stop the child; the state of a training is kept."""
        self._stopping = True
        self.job.stop()
        self._on_change()

    def restore(self) -> None:
        """Exchange the model with the one before, and let that look at every video.

        Raises:
            BasnetError: a child works, or there is no model before.
        """
        with self._lock:
            if self.job.running:
                raise BasnetError("wait until the training has ended")
            restore(self._folder)
            self.look()

    def _start(self, task: str, **options: Any) -> None:
        with self._lock:
            if self.job.running:
                raise BasnetError("training is running already")
            self._run, self._stopping = {"loss": [], "live": [], "kind": task}, False
            self.job.start(task, project=self._folder, **options)
        self._on_change()

    def _on_event(self, event: dict[str, Any]) -> None:
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
        self._on_change()

    def _ended(self, code: int) -> None:
        self._run["stopped"] = self._stopping
        self._on_end()

    def status(self) -> dict[str, Any]:
        """What the page shows."""
        running = self.job.running
        return {
            "running": running,
            "stopping": self._stopping and running,
            "run": self._run,
            "error": self.job.error,
            "can_resume": not running and self._can_resume,
            "model": self.has_model,
            "previous": (self._folder / PREVIOUS).is_file(),
            "runs": [
                {key: value for key, value in run.items() if key != "trained"}
                for run in read_runs(self._folder)[-SHOWN_RUNS:]
            ],
        }
