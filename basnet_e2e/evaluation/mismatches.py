"""What predictions and ground truth do not share: videos, labels, or all proposals."""

from collections import Counter
from collections.abc import Mapping, Sequence

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.predictions import Predictions
from basnet_e2e.data.annotations.video_names import listing, unknown_message
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval


def check_shared(
    videos: Mapping[str, Sequence[Interval]],
    elsewhere: Sequence[str],
    found: Predictions,
    truth: GroundTruth,
) -> None:
    """Refuse to evaluate videos with the ground truth of others.

    Raises:
        BasnetError: no predicted video is in the subset.
    """
    if any(name in truth.videos for name in videos):
        return
    what = f"the subset {truth.subset} of {truth.source}" if truth.subset else truth.source
    if not found.videos:
        failed = f"; all {len(found.failed)} failed" if found.failed else ""
        raise BasnetError(f"{found.source}: no predicted video{failed}, nothing to evaluate")
    hint = f"; {len(elsewhere)} belong to other subsets, see --subset" if elsewhere else ""
    raise BasnetError(
        f"{found.source}: no predicted video is in {what}{hint} (predictions name "
        f"{listing(found.videos, 2)}, the ground truth {listing(truth.videos, 2)})"
    )


def mismatches(
    videos: Mapping[str, Sequence[Interval]],
    elsewhere: Sequence[str],
    found: Predictions,
    truth: GroundTruth,
) -> list[str]:
    """What predictions and ground truth do not share."""
    warnings = []
    labels = Counter(row.label for rows in videos.values() for row in rows)
    classes = set(truth.classes)
    foreign = {name: count for name, count in labels.items() if name not in classes}
    if foreign:
        warnings.append(
            f"predicted labels without ground truth, ignored ({len(foreign)}, "
            f"{sum(foreign.values())} predictions): {unknown_message(foreign, truth.classes)}"
        )
    if elsewhere:
        warnings.append(
            f"predicted videos of another subset, ignored ({len(elsewhere)}): {listing(elsewhere)}"
        )
    unknown = [name for name in videos if name not in truth.videos]
    if unknown:
        warnings.append(
            f"predicted videos that are not in the ground truth; their predictions count as false "
            f"({len(unknown)}): {listing(unknown)}"
        )
    silent = [name for name, rows in truth.videos.items() if rows and not videos.get(name)]
    if silent:
        warnings.append(f"annotated videos without a prediction ({len(silent)}): {listing(silent)}")
    if found.thinned:
        warnings.append(
            f"made with --keep best, which leaves intervals out ({len(found.thinned)} of "
            f"{len(found.videos)} videos); evaluation wants 'basnet localize --keep all'"
        )
    if found.failed:
        warnings.append(f"videos that failed ({len(found.failed)}): {listing(found.failed)}")
    return warnings
