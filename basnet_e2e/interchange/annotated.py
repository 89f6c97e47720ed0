"""What a person said about a video in some annotation tool."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from basnet_e2e.data.annotations.video_names import without_suffix
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval


@dataclass(frozen=True)
class AnnotationFile:
    """A file of some annotation tool.

    Attributes:
        path: its place.
        text: its content, uncompressed.
        document: the value of a JSON file; None for any other.
    """

    path: Path
    text: str
    document: Any = None

    def has(self, *keys: str) -> bool:
        """Whether it is a JSON object with these keys."""
        return isinstance(self.document, dict) and set(keys) <= self.document.keys()


@dataclass(frozen=True)
class Hints:
    """What a person can add where a file does not say everything.

    Attributes:
        fps: frames per second that the tool counted in.
        videos: video file or folder of videos.
        with_modifiers: whether a behaviour of BORIS with a modifier, or a region of Label Studio
            with a choice, is a class of its own.
        observations: the only observations of BORIS to read; all where empty.
        predictions: whether what a model found is read too, which nobody corrected.
    """

    fps: Fraction | None = None
    videos: Path | None = None
    with_modifiers: bool = False
    observations: tuple[str, ...] = ()
    predictions: bool = False


@dataclass(frozen=True)
class AnnotatedVideo:
    """The labels of one video.

    Attributes:
        video: its id as far as the tool knows it.
        labels: what occurs in it, in order of first appearance; empty for background only.
        intervals: when, in seconds; an interval without extent is a point.
        duration: seconds; None where the tool does not say.
        unknown: stretches that nobody looked at, from and to seconds.
    """

    video: str
    labels: tuple[str, ...]
    intervals: tuple[Interval, ...] = ()
    duration: float | None = None
    unknown: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls,
        video: str,
        intervals: Iterable[Interval],
        labels: Iterable[str] = (),
        duration: float | None = None,
        unknown: Iterable[tuple[float, float]] = (),
    ) -> "AnnotatedVideo":
        """From intervals in any order and labels of the whole video."""
        ordered = sorted(intervals, key=lambda one: (one.start, one.end, one.label))
        names = dict.fromkeys([*(one.label for one in ordered), *labels])
        return cls(video, tuple(names), tuple(ordered), duration, tuple(unknown))

    @property
    def observed(self) -> float | None:
        """Seconds that somebody looked at; None where the duration is not known."""
        unknown = sum(end - start for start, end in self.unknown)
        return None if self.duration is None else max(self.duration - unknown, 0.0)

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
        self._places: dict[str, list[str]] = {}

    def add(self, kind: str, where: str = "") -> None:
        """Note one annotation.

        Args:
            kind: what it is, in the tool's words.
            where: its place in the file or the video; only the first of each kind is reported.
        """
        self._places.setdefault(kind, []).append(where)

    def __bool__(self) -> bool:
        return bool(self._places)

    def __str__(self) -> str:
        parts = []
        for kind, places in self._places.items():
            first = f"first: {places[0]}" if len(places) > 1 else places[0]
            parts.append(f"{kind} ({len(places)}{f', {first}' if places[0] else ''})")
        return ", ".join(parts)


def parse_xml(path: Path, text: str) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        BasnetError: it is not XML, or declares a document type, whose entities can grow without
            bounds; tools of annotation write none.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BasnetError(f"{path}: not read, since it declares a document type")
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise BasnetError(f"{path}: not valid XML ({error})") from error


def video_id(name: str) -> str:
    """Id of a video that a tool names by a relative path.

    >>> video_id("../videos/match/03.mp4"), video_id("game.mp4")
    ('videos/match/03', 'game')
    """
    parts = without_suffix(name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))
