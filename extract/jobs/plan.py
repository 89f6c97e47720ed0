"""The work on a folder of videos: what is to be done, what happens, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from extract.features.failure_lists import FAILURES
from extract.features.output_folder import Place, Stamp, place_of
from extract.sources.find import VideoInput
from extract.sources.urls import Url

PATIENCE = 2.0  # seconds of waiting for another process before the next video has its turn


@dataclass(frozen=True)
class Event:
    """Something that happened to one video.

    Attributes:
        kind: ``start``, ``progress``, ``done`` or ``failed``; ``busy`` where another process has
            the video in hand, ``elsewhere`` where it was done by one.
        video: which one.
        done: snippets done so far.
        total: snippets in all, 0 while unknown.
        seconds: time since the start of this video.
        message: the error of a failed video, the decoder and engine of a done one.
        duration: seconds of video, of a done one.
    """

    kind: str
    video: VideoInput
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""
    duration: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What is to be done in a features folder.

    Attributes:
        todo: videos to extract.
        present: videos whose features are there already, made with equal settings.
        folder: the features folder.
        failures: name of the list that takes those that fail; None where another process keeps it.
        stamps: of the feature files that are to be replaced, by id.
        failed: why videos failed in earlier runs, by id.
        source: folder that all videos to do have in common, None where they have none.
    """

    folder: Path | Url
    todo: tuple[VideoInput, ...]
    present: tuple[VideoInput, ...]
    failures: str | None = FAILURES
    stamps: dict[str, Stamp] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    source: Path | None = None

    @property
    def place(self) -> Place:
        """The features folder."""
        return place_of(self.folder)

    def tasks(self) -> "list[Task]":
        """The work, video by video."""
        return [
            Task(video, self.stamps.get(video.id), self.failed.get(video.id)) for video in self.todo
        ]


@dataclass(frozen=True)
class Task:
    """One video to extract, and what stood in the folder when the plan was made.

    Attributes:
        video: which one.
        stamp: of the feature file that is to be replaced, None where there is none.
        failure: why it failed before, None where it did not.
        patience: seconds to wait for another process that has it in hand.
    """

    video: VideoInput
    stamp: Stamp | None = None
    failure: str | None = None
    patience: float = 0.0

    def later(self) -> "Task":
        """The same at a time when there may be nothing else to do."""
        return replace(self, patience=PATIENCE)


@dataclass
class Summary:
    """Outcome of a run over a folder."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)


Listener = Callable[[Event], None]


def note(event: Event, summary: Summary) -> None:
    """Add the end of one video to a summary."""
    if event.kind == "elsewhere":
        summary.elsewhere.append(event.video.id)
    elif event.kind == "done":
        summary.done.append(event.video.id)
    elif event.kind == "failed":
        summary.failed[event.video.id] = event.message
