"""What people said of one video: its classes, and where in time they happen."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval

UNKNOWN = ""
"""Label of a stretch that nobody looked at."""
STATES = ("unlabelled", "labelled", "points", "partial", "corrected")


@dataclass(frozen=True, order=True)
class Span:
    """An action, a moment of one, or a stretch that nobody looked at.

    Attributes:
        start: seconds.
        end: seconds; None for a point.
        label: class, ``UNKNOWN`` for a stretch that nobody looked at.
    """

    start: float
    end: float | None
    label: str


@dataclass(frozen=True)
class Annotation:
    """What is known of a video.

    Attributes:
        labels: classes that occur, None where nobody said; an empty tuple is background only.
        spans: None where nobody looked at times; empty where nothing happens. Everything
            outside intervals and unknown stretches is background, unless there are only points.
    """

    labels: tuple[str, ...] | None = None
    spans: tuple[Span, ...] | None = None

    @property
    def state(self) -> str:
        """One of ``STATES``.

        >>> Annotation(("dive",), (Span(1.0, None, "dive"),)).state
        'points'
        """
        if self.spans is None:
            return "unlabelled" if self.labels is None else "labelled"
        if self.spans and all(span.end is None for span in self.spans):
            return "points"
        return "partial" if any(span.label == UNKNOWN for span in self.spans) else "corrected"

    @property
    def intervals(self) -> list[Interval]:
        """The actions of which people said from when to when they last."""
        spans = [(span.label, span.start, span.end) for span in self.spans or () if span.label]
        return [Interval(label, start, end) for label, start, end in spans if end is not None]

    @property
    def version(self) -> str:
        """Changes with the content."""
        text = json.dumps(self.to_json(), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """One JSON object, as the page sends and receives it."""
        spans = self.spans and [[span.label, span.start, span.end] for span in self.spans]
        return {
            "labels": None if self.labels is None else list(self.labels),
            "spans": None if self.spans is None else list(spans or ()),
        }

    def consistent(self) -> "Annotation":
        """The same with every class of a span among the labels, spans in the order of time.

        >>> Annotation(None, (Span(1.0, 2.0, "dive"),)).consistent().labels
        ('dive',)
        """
        if self.spans is None:
            return self
        named = (span.label for span in self.spans if span.label != UNKNOWN)
        spans = tuple(sorted(set(self.spans), key=lambda s: (s.start, s.end or s.start, s.label)))
        return Annotation(tuple(dict.fromkeys([*(self.labels or ()), *named])), spans)

    def renamed(self, names: Mapping[str, str | None]) -> "Annotation":
        """The same with other class names; None removes a class.

        >>> Annotation(("a", "b")).renamed({"a": "b"}).labels
        ('b',)
        """
        labels, spans = self.labels, self.spans
        if labels is not None:
            new = (names.get(label, label) for label in labels)
            labels = tuple(dict.fromkeys(label for label in new if label is not None))
        if spans is not None:
            moved = ((span, names.get(span.label, span.label)) for span in spans)
            spans = tuple(
                Span(span.start, span.end, label) for span, label in moved if label is not None
            )
            if self.spans and all(span.end is None for span in self.spans):
                spans = spans or None  # no point is left, which does not say that nothing happens
        return Annotation(labels, spans).consistent()


def annotation_of(document: Any, classes: Iterable[str], duration: float | None) -> Annotation:
    """Check what a page sent.

    Args:
        document: as :meth:`Annotation.to_json` gives it.
        classes: names that may occur.
        duration: seconds of the video where they are known; times are held within it.

    Raises:
        BasnetError: it is not of that form, or names another class.
    """
    known = set(classes)
    try:
        labels, spans = document["labels"], document["spans"]
        labels = None if labels is None else tuple(dict.fromkeys(nfc(str(each)) for each in labels))
        if spans is not None:
            spans = tuple(_span(each, duration) for each in spans)
    except (KeyError, TypeError, ValueError) as error:
        raise BasnetError(f"not an annotation ({error})") from error
    found = Annotation(labels, spans).consistent()
    if found.state == "corrected":
        # All is marked: a class of which nothing is marked does not occur.
        found = Annotation((), found.spans).consistent()
    extra = [name for name in found.labels or () if name not in known]
    if extra:
        raise BasnetError(f"there is no class '{extra[0]}' in this project")
    return found


def _span(values: Any, duration: float | None) -> Span:
    label, start, end = values
    limit = math.inf if duration is None else duration
    first = min(max(float(start), 0.0), limit)
    last = None if end is None else min(float(end), limit)
    if not math.isfinite(first) or (last is not None and not last > first):
        raise ValueError(f"{start} to {end} is not an interval")
    if last is None and not label:
        raise ValueError("a point has a class")
    return Span(round(first, 3), None if last is None else round(last, 3), nfc(str(label)))


@dataclass(frozen=True)
class Known:
    """How much is known of some videos.

    Attributes:
        videos: with labels or times.
        points: of all videos.
        intervals: of all videos.
        corrected: videos whose actions are all marked.
        classes: class -> videos in which it occurs.
        background: videos without any class.
    """

    videos: int
    points: int
    intervals: int
    corrected: int
    classes: dict[str, int]
    background: int

    @property
    def can_train(self) -> bool:
        """Whether there is something to tell apart."""
        return len(self.classes) + bool(self.background or self.intervals) > 1

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {**self.__dict__, "can_train": self.can_train}


def known_of(annotations: Iterable[Annotation]) -> Known:
    """Count what is known."""
    every = [each for each in annotations if each.labels is not None]
    spans = [span for each in every for span in each.spans or ()]
    classes: dict[str, int] = {}
    for each in every:
        for label in each.labels or ():
            classes[label] = classes.get(label, 0) + 1
    return Known(
        videos=len(every),
        points=sum(span.end is None for span in spans),
        intervals=sum(len(each.intervals) for each in every),
        corrected=sum(each.state == "corrected" for each in every),
        classes=classes,
        background=sum(not each.labels for each in every),
    )
