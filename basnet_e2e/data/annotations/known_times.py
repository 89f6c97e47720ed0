"""What is known of when actions happen in training videos: intervals, points, unknown stretches.

Read from a CSV file (header ``video,label,start,end``) or from ActivityNet-style JSON. A label with
both times is an interval, one without an end a point inside an action; times without a label are a
stretch that nobody looked at; nothing happens in a video that is only named.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta, Struct

from basnet_e2e.data.annotations.annotations import (
    Labels,
    classes_of,
    durations_of,
    read_subset,
)
from basnet_e2e.data.annotations.csv_tables import interval_rows, is_table, seconds
from basnet_e2e.data.annotations.video_names import listing, nfc
from basnet_e2e.data.files.csv_rows import Row
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval
from weights.json_documents import Seconds, Text


@dataclass(frozen=True)
class Times:
    """What is known of one video; seconds.

    Attributes:
        intervals: actions from start to end.
        points: moments within actions, as intervals whose end is their start.
        unknown: stretches that nobody looked at, without a label.
    """

    intervals: tuple[Interval, ...] = ()
    points: tuple[Interval, ...] = ()
    unknown: tuple[Interval, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything outside the unknown stretches was looked at; not with points alone."""
        return bool(self.intervals) or not self.points

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of its intervals and points."""
        return tuple(dict.fromkeys(one.label for one in (*self.intervals, *self.points)))


@dataclass(frozen=True)
class KnownTimes:
    """What is known of several videos.

    Attributes:
        videos: name as written -> what is known.
        durations: seconds, where the file states them.
        source: the file, for messages.
        published: as in ``Labels``.
    """

    videos: dict[str, Times]
    durations: dict[str, float] = field(default_factory=dict)
    source: str = "intervals"
    published: bool = False

    @property
    def labels(self) -> Labels:
        """Which classes occur in these videos, as far as their times say."""
        videos = {name: times.classes for name, times in self.videos.items()}
        return Labels(videos, classes_of(videos), self.durations, self.source, self.published)

    @classmethod
    def of(
        cls,
        videos: Mapping[str, list[Interval]],
        durations: Mapping[str, float] | None = None,
        source: str = "intervals",
        published: bool = False,
    ) -> "KnownTimes":
        """From rows by video: ``label`` may be empty, and ``end`` not a number.

        Raises:
            BasnetError: an interval that is empty, reversed or before the start of the video.
        """
        known = {name: _times(source, name, rows) for name, rows in videos.items()}
        return cls(known, dict(durations or {}), source, published)


def read_known_times(path: str | os.PathLike[str]) -> KnownTimes:
    """Read a CSV file or ActivityNet-style JSON, of which only the training subset.

    In JSON a point is a segment of one number, or of one and null; an unknown stretch has no label.

    Raises:
        BasnetError: the file is missing or damaged, or an interval is not valid.
    """
    if is_table(path):
        rows = {name: list(map(_known, rows)) for name, rows in interval_rows(path).items()}
        return KnownTimes.of(rows, source=os.fspath(path))
    chosen, entries, _ = read_subset(path, KnownTime, None, "train")
    videos = {name: [item.interval for item in entry.items] for name, entry in entries.items()}
    durations = durations_of(entries)
    return KnownTimes.of(videos, durations, os.fspath(path), published=chosen is not None)


class KnownTime(Struct, frozen=True):
    """What a database says of one moment or stretch of a video."""

    segment: Annotated[list[Seconds | None], Meta(min_length=1, max_length=2)]
    label: Text | None = None

    @property
    def interval(self) -> Interval:
        """The same; ``end`` is not a number for a point, ``label`` empty for an unknown stretch."""
        start, end = (math.nan if time is None else time for time in [*self.segment, None][:2])
        return Interval(nfc(self.label or ""), start, end)


def agreed_labels(
    labels: Mapping[str, tuple[str, ...]],
    times: Mapping[str, Times],
    sources: tuple[str, str],
) -> dict[str, tuple[str, ...]]:
    """Classes of labels and times by video id; where both name a video they must agree.

    Args:
        labels: id -> classes.
        times: id -> what is known of its times.
        sources: files of the labels and the times, for messages.

    Raises:
        BasnetError: a class has times but no label, or a label but no times in a video that was
            looked at as a whole.
    """
    both = dict(labels)
    for video, known in times.items():
        named = labels.get(video)
        if named is None:
            both[video] = known.classes
            continue
        extra = [name for name in known.classes if name not in named]
        if extra:
            raise BasnetError(
                f"{sources[1]}: {listing(extra)} in the video '{video}', which {sources[0]} labels "
                f"{listing(named) if named else 'as background only'}; correct one of them"
            )
        lacking = [name for name in named if name not in known.classes]
        if lacking and known.complete and not known.unknown:
            raise BasnetError(
                f"{sources[0]}: {listing(lacking)} in the video '{video}', where {sources[1]} has "
                "no interval; correct one of them, or add the stretch that nobody looked at "
                "(a row with times and no label)"
            )
    return both


def _known(row: Row) -> Interval:
    end = seconds(row, "end") if row.cells["end"] else math.nan
    return Interval(nfc(row.cells["label"]), seconds(row, "start"), end)


def _times(source: str, video: str, rows: list[Interval]) -> Times:
    """Rows of one video by what they say."""
    for one in rows:
        if not one.start >= 0 or one.end <= one.start or (not one.label and math.isnan(one.end)):
            what = f"'{one.label}'" if one.label else "a stretch without label"
            raise BasnetError(
                f"{source}: {what} of the video '{video}' from {one.start:g} to {one.end:g} s "
                "is not valid; an interval has a start of 0 or more and a later end, a point has a "
                "label and no end"
            )
    ends = [one for one in rows if not math.isnan(one.end)]
    return Times(
        tuple(one for one in ends if one.label),
        tuple(replace(one, end=one.start) for one in rows if math.isnan(one.end)),
        tuple(one for one in ends if not one.label),
    )
