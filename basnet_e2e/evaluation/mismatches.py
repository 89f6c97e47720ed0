"""What predictions and ground truth do not share: videos, labels, all proposals."""

from collections import Counter
from collections.abc import Mapping, Sequence

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.predictions import Predictions
from basnet_e2e.data.annotations.video_names import listing, unknown_message
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval


def mismatches(
    videos: Mapping[str, Sequence[Interval]],
    elsewhere: Sequence[str],
    found: Predictions,
    truth: GroundTruth,
    *,
    must_share: bool,
) -> list[str]:
    """What predictions and ground truth do not share, a warning each.

    Args:
        videos: predictions by the names of the ground truth.
        elsewhere: predicted videos of other subsets.
        found: the predictions as read.
        truth: the ground truth.
        must_share: refuse predictions without any video of the subset.

    Raises:
        BasnetError: no predicted video is in the subset, and one must be.
    """
    if must_share and not any(name in truth.videos for name in videos):
        raise BasnetError(f"{found.source}: {_nothing_shared(elsewhere, found, truth)}")
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


def _nothing_shared(elsewhere: Sequence[str], found: Predictions, truth: GroundTruth) -> str:
    if not found.videos:
        failed = f"; all {len(found.failed)} failed" if found.failed else ""
        return f"no predicted video{failed}, nothing to evaluate"
    subset = f"the subset {truth.subset} of {truth.source}" if truth.subset else truth.source
    hint = f"; {len(elsewhere)} belong to other subsets, see --subset" if elsewhere else ""
    return (
        f"no predicted video is in {subset}{hint} (predictions name "
        f"{listing(found.videos, 2)}, the ground truth {listing(truth.videos, 2)})"
    )
