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
    for video, intervals in truth.videos.items():
        limit = truth.durations.get(video, float("inf")) + OUTSIDE_SECONDS
        repeats = _repeats(intervals)
        for number, one in enumerate(intervals):
            applies = (
                number in repeats,
                one.end == one.start,
                one.end < one.start,
                one.start < -OUTSIDE_SECONDS or max(one.start, one.end) > limit,
            )
            text = f"{video} {one.label} {one.start:g}-{one.end:g} s"
            for listed, is_odd in zip(kinds.values(), applies, strict=True):
                if is_odd:
                    listed.append(text)
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
        repeats = _repeats(intervals)
        kept[video] = [one for number, one in enumerate(intervals) if number not in repeats]
    return kept


def _repeats(intervals: Sequence[Interval]) -> set[int]:
    """Numbers of the intervals that repeat an earlier one of their class."""
    first: dict[str, list[Interval]] = {}
    repeats = set()
    for number, one in enumerate(intervals):
        alike = first.setdefault(one.label, [])
        if any(
            abs(one.start - other.start) <= SAME_SECONDS
            and abs(one.end - other.end) <= SAME_SECONDS
            for other in alike
        ):
            repeats.add(number)
        else:
            alike.append(one)
    return repeats
