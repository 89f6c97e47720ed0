"""Find annotated intervals that are probably mistakes: repeated, empty, reversed, outside."""

from collections.abc import Mapping, Sequence

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.video_names import listing
from basnet_e2e.intervals import Interval

# ActionFormer and OpenTAD treat annotations that differ by less than this as the same one.
SAME_SECONDS = 1e-3
# Annotations often end at a rounded duration.
OUTSIDE_SECONDS = 0.01


def odd_annotations(truth: GroundTruth, *, dedupe: bool = False) -> list[str]:
    """One line per kind of odd interval, naming them.

    Args:
        truth: what was read.
        dedupe: whether repeated intervals will be counted once.
    """
    repeated = "counted once" if dedupe else "each counted; --dedupe counts them once"
    kinds: dict[str, list[str]] = {
        f"repeated, {repeated}": [],
        "empty, never found and counted as missed": [],
        "reversed, never found and counted as missed": [],
        "outside their video": [],
    }
    names = list(kinds)
    for video, intervals in truth.videos.items():
        limit = truth.durations.get(video, float("inf")) + OUTSIDE_SECONDS
        repeats = {id(interval) for interval in _repeats(intervals)}
        for interval in intervals:
            text = f"{video} {interval.label} {interval.start:g}-{interval.end:g} s"
            if id(interval) in repeats:
                kinds[names[0]].append(text)
            if interval.end == interval.start:
                kinds[names[1]].append(text)
            elif interval.end < interval.start:
                kinds[names[2]].append(text)
            if interval.start < -OUTSIDE_SECONDS or max(interval.start, interval.end) > limit:
                kinds[names[3]].append(text)
    return [
        f"annotated intervals that are {kind} ({len(found)}): {listing(found)}"
        for kind, found in kinds.items()
        if found
    ]


def without_duplicates(
    videos: Mapping[str, Sequence[Interval]],
) -> dict[str, list[Interval]]:
    """Ground truth without repeated intervals; the first of equal ones stays."""
    kept = {}
    for video, intervals in videos.items():
        repeats = {id(interval) for interval in _repeats(intervals)}
        kept[video] = [interval for interval in intervals if id(interval) not in repeats]
    return kept


def _repeats(intervals: Sequence[Interval]) -> list[Interval]:
    """Intervals that repeat an earlier one of their class."""
    seen: dict[str, list[Interval]] = {}
    found = []
    for interval in intervals:
        alike = seen.setdefault(interval.label, [])
        if any(
            abs(interval.start - other.start) <= SAME_SECONDS
            and abs(interval.end - other.end) <= SAME_SECONDS
            for other in alike
        ):
            found.append(interval)
        else:
            alike.append(interval)
    return found
