"""What a person said about a video in some annotation tool, and the files it is written to."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.video_names import without_suffix
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import SECOND_DECIMALS, Interval

SEPARATOR = ";"


@dataclass(frozen=True)
class Help:
    """What a person can add where a file does not say everything.

    Attributes:
        fps: frames per second that the tool counted in.
        videos: video file or folder of videos.
    """

    fps: Fraction | None = None
    videos: Path | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """The labels of one video.

    Attributes:
        video: its id as far as the tool knows it.
        labels: what occurs in it, in order of first appearance; empty for background only.
        intervals: when, in seconds; an interval without extent is a point.
        duration: seconds; None where the tool does not say.
    """

    video: str
    labels: tuple[str, ...]
    intervals: tuple[Interval, ...] = ()
    duration: float | None = None

    @classmethod
    def of(
        cls,
        video: str,
        intervals: Iterable[Interval],
        labels: Iterable[str] = (),
        duration: float | None = None,
    ) -> "AnnotatedVideo":
        """From intervals in any order and labels of the whole video."""
        ordered = sorted(intervals, key=lambda one: (one.start, one.end, one.label))
        names = dict.fromkeys([*(one.label for one in ordered), *labels])
        return cls(video, tuple(names), tuple(ordered), duration)

    @property
    def is_timed(self) -> bool:
        """Whether the annotation says when each of its classes occurs."""
        return set(self.labels) == {one.label for one in self.intervals}


@dataclass(frozen=True)
class LeftOut:
    """A video that is not read: writing it would take what was not understood for "no action".

    Attributes:
        video: its id as far as the tool knows it.
        reason: what was not understood and where; empty where nobody annotated the video.
    """

    video: str
    reason: str = ""


class NotUnderstoodError(Exception):
    """One annotation that a reader cannot interpret; its text says what and where."""


class Unread:
    """Collects the annotations of one video that a reader does not understand, by kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, kind: str, where: str = "") -> None:
        """Note one annotation.

        Args:
            kind: what it is, in the tool's words.
            where: its place in the file or the video; only the first of a kind is told.
        """
        self._counts[kind] += 1
        self._first.setdefault(kind, where)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        parts = []
        for kind, count in self._counts.items():
            where = [f"first: {self._first[kind]}"] if count > 1 else [self._first[kind]]
            inside = ", ".join([str(count), *(part for part in where if self._first[kind])])
            parts.append(f"{kind} ({inside})")
        return ", ".join(parts)


def video_id(name: str) -> str:
    """Id of a video that a tool names by a relative path.

    >>> video_id("../videos/match/03.mp4"), video_id("game.mp4")
    ('videos/match/03', 'game')
    """
    parts = without_suffix(name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def labels_csv(videos: Sequence[AnnotatedVideo]) -> str:
    """The label file of ``basnet train``: ``video,labels``.

    Raises:
        BasnetError: a label file cannot hold a label.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "labels"])
    for video in videos:
        for label in video.labels:
            if SEPARATOR in label or label != label.strip() or not label:
                raise BasnetError(
                    f"a label file cannot hold the label '{label}' of video '{video.video}': "
                    f"no '{SEPARATOR}', and no space at its ends; rename it in the tool"
                )
        rows.writerow([video.video, SEPARATOR.join(video.labels)])
    return text.getvalue()


def ground_truth(videos: Sequence[AnnotatedVideo]) -> dict[str, Any]:
    """The intervals as ActivityNet-style ground truth, without subsets.

    Args:
        videos: those of which every class has its times; a missing one would be background.
    """
    database: dict[str, Any] = {}
    for video in videos:
        entry: dict[str, Any] = {}
        if video.duration is not None:
            entry["duration"] = round(video.duration, SECOND_DECIMALS)
        entry["annotations"] = [
            {
                "label": one.label,
                "segment": [round(one.start, SECOND_DECIMALS), round(one.end, SECOND_DECIMALS)],
            }
            for one in video.intervals
        ]
        database[video.video] = entry
    return {"database": database}
