"""Labels and known times joined: which videos are trained on, and with what."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from basnet_e2e.data.annotations.annotations import Labels, read_labels, with_classes
from basnet_e2e.data.annotations.known_times import KnownTimes, Times, agreed_labels
from basnet_e2e.data.annotations.label_matching import LabelMatches, match_labels
from basnet_e2e.errors import BasnetError


@dataclass(frozen=True)
class TrainingVideos:
    """Videos and what a person annotated in them.

    Attributes:
        matches: how the rows of the labels, and those of the times, match the videos.
        by_id: id -> classes.
        times: id -> what is known of when they happen, for the videos where anything is.
        classes: all classes in their order.
    """

    matches: tuple[LabelMatches, ...]
    by_id: dict[str, tuple[str, ...]]
    times: dict[str, Times]
    classes: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file of the labels, or that of the times where there are none."""
        return self.matches[0].labels.source

    @property
    def durations(self) -> dict[str, float]:
        """Id -> seconds, where a file states them."""
        return {
            found.matches.found[name]: seconds
            for found in self.matches
            for name, seconds in found.labels.durations.items()
            if name in found.matches.found
        }

    def mistakes(self) -> list[str]:
        """What keeps these videos from being trained on, one line each."""
        return [line for found in self.matches for line in found.mistakes()]

    def check(self) -> None:
        """Say how names were matched and what is left out.

        Raises:
            BasnetError: the first mistake.
        """
        for found in self.matches:
            found.check()


def match_training(
    labels: str | os.PathLike[str] | Labels | None,
    times: KnownTimes | None,
    ids: Sequence[str],
    where: str,
    failed: Collection[str] = (),
    classes: Sequence[str] | None = None,
    what: str = "features",
) -> TrainingVideos:
    """Match labels and known times with videos; ``check`` reports names that do not match.

    Args:
        labels: as :func:`read_labels` reads them, or read already; None if times say everything.
        times: what is known of when actions happen.
        ids: the videos there are.
        where: their folder, for messages.
        failed: ids of videos whose extraction failed.
        classes: class list that fixes the order and must cover every label.
        what: what the folder holds per video, for messages.

    Raises:
        BasnetError: labels and times disagree, or there are neither.
    """
    if labels is None and times is None:
        raise BasnetError("training needs labels: which classes occur in which video")
    read = [] if times is None else [times.labels]
    if labels is not None:
        read.insert(0, labels if isinstance(labels, Labels) else read_labels(labels))
    known = tuple(dict.fromkeys(name for each in read for name in each.classes))
    if classes is not None:
        read = [with_classes(each, classes) for each in read]
        known = read[0].classes
    found = [match_labels(each, ids, where, failed, what) for each in read]
    if times is None:
        return TrainingVideos((found[0],), found[0].by_id, {}, known)
    by_video = {
        video: times.videos[name]
        for name, video in found[-1].matches.found.items()
        if video not in found[-1].doubled
    }
    if len(found) == 1:
        return TrainingVideos((found[0],), found[0].by_id, by_video, known)
    both = agreed_labels(found[0].by_id, by_video, (read[0].source, times.source))
    unnamed = tuple(video for video in ids if video not in both)
    # A video without a row is reported once, and only if neither file has one.
    found = [replace(each, matches=replace(each.matches, unnamed=())) for each in found]
    found[0] = replace(found[0], matches=replace(found[0].matches, unnamed=unnamed))
    return TrainingVideos(tuple(found), both, by_video, known)
