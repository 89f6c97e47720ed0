"""Time budgets, as behavioural science reports them: how often and how long a class happens."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from basnet_e2e.interchange.annotated import AnnotatedVideo
from basnet_e2e.intervals import Interval

ALL = "(all)"


@dataclass(frozen=True)
class Budget:
    """One class in one video, or in all of them; None for undefined figures.

    Attributes:
        video: id, or ``(all)``.
        label: the class.
        bouts: how often it happens; a point is a bout without duration.
        total: seconds in which it happens.
        mean: mean duration of a bout in seconds, points left out.
        median: median duration likewise.
        share: percent of the time that was looked at.
        latency: seconds until it first happens; over all videos the mean of those in which it does.
    """

    video: str
    label: str
    bouts: int
    total: float
    mean: float | None
    median: float | None
    share: float | None
    latency: float | None


def time_budget(videos: Mapping[str, AnnotatedVideo]) -> list[Budget]:
    """A row for every class in every video, then one for every class in all of them.

    Args:
        videos: by name; intervals of one class do not overlap.
    """
    classes = sorted({one.label for video in videos.values() for one in video.intervals})
    rows = [
        _row(name, label, [one for one in video.intervals if one.label == label], video.observed)
        for name, video in videos.items()
        for label in classes
    ]
    lengths = [video.observed for video in videos.values()]
    known = [length for length in lengths if length is not None]
    whole = sum(known) if len(known) == len(lengths) else None
    for label in classes:
        found = [one for v in videos.values() for one in v.intervals if one.label == label]
        first = [row.latency for row in rows if row.label == label and row.latency is not None]
        rows.append(_row(ALL, label, found, whole, statistics.fmean(first)))
    return rows


def _row(
    video: str,
    label: str,
    found: Sequence[Interval],
    seconds: float | None,
    latency: float | None = None,
) -> Budget:
    lengths = [one.length for one in found if one.length > 0]
    total = sum(lengths)
    if latency is None:
        latency = min((one.start for one in found), default=None)
    return Budget(
        video=video,
        label=label,
        bouts=len(found),
        total=total,
        mean=statistics.fmean(lengths) if lengths else None,
        median=statistics.median(lengths) if lengths else None,
        share=100 * total / seconds if seconds else None,
        latency=latency,
    )
