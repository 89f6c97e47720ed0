"""Match labels with videos: which row means which video, and what is left over."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from basnet_e2e.data.annotations.annotations import Labels
from basnet_e2e.data.annotations.video_names import (
    Matches,
    MatchKind,
    ambiguous_message,
    find_matches,
    listing,
    unknown_message,
)
from basnet_e2e.errors import BasnetError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelMatches:
    """How the rows of a label file match the videos of a folder.

    Attributes:
        labels: what was read.
        matches: which name means which video.
        by_id: id -> classes, for the videos that are labelled.
        doubled: id -> the names that all mean it, where that is a mistake.
        failed: names of videos whose extraction failed.
        unknown: names that match no video.
        ids: the videos.
        where: the folder of the videos, for messages.
        what: what that folder holds per video, for messages.
    """

    labels: Labels
    matches: Matches
    by_id: dict[str, tuple[str, ...]]
    doubled: dict[str, tuple[str, ...]]
    failed: tuple[str, ...]
    unknown: tuple[str, ...]
    ids: tuple[str, ...]
    where: str
    what: str = "features"

    def mistakes(self) -> list[str]:
        """What prevents training on these labels, one line each."""
        source = self.labels.source
        found = [
            f"{source}: {ambiguous_message(name, candidates)}"
            for name, candidates in self.matches.ambiguous.items()
        ]
        found += [
            f"{source}: {listing(names)} mean the same video '{video_id}'"
            for video_id, names in self.doubled.items()
        ]
        if not self.matches.found:
            names, ids = list(self.labels.videos), self.ids
            none = (
                "its only video has no"
                if len(names) == 1
                else f"none of its {len(names)} videos has"
            )
            found.append(
                f"{source}: {none} {self.what} in {self.where} (labels name {listing(names, 2)}, "
                f"the folder {listing(ids, 2)})"
            )
        elif self.unknown and not self.labels.published:
            found.append(f"{self._unknown_line()}; correct or remove the names")
        return found

    def remarks(self) -> list[str]:
        """What is left out, one line each."""
        found = []
        if self.failed:
            found.append(
                f"labelled videos that could not be extracted, left out ({len(self.failed)}): "
                f"{listing(self.failed)}"
            )
        if self.unknown and self.labels.published:
            found.append(f"{self._unknown_line()}; they are left out")
        if self.matches.unnamed:
            found.append(
                f"videos with {self.what} but no labels, not used ({len(self.matches.unnamed)}): "
                f"{listing(self.matches.unnamed)}"
            )
        return found

    def check(self) -> None:
        """Log how names were matched and what is left out.

        Raises:
            BasnetError: the first mistake.
        """
        for mistake in self.mistakes():
            raise BasnetError(mistake)
        self.matches.report("label", self.labels.source)
        for remark in self.remarks():
            log.warning("%s", remark)

    def _unknown_line(self) -> str:
        return (
            f"{self.labels.source}: labelled videos without {self.what} in {self.where} "
            f"({len(self.unknown)}): {unknown_message(self.unknown, self.ids)}"
        )


def match_labels(
    labels: Labels,
    ids: Sequence[str],
    where: str,
    failed: Collection[str] = (),
    what: str = "features",
) -> LabelMatches:
    """Find the video of each labelled name.

    Args:
        labels: what was read.
        ids: the videos there are.
        where: their folder, for messages.
        failed: ids of videos whose extraction failed.
        what: what the folder holds per video, for messages.
    """
    matches = _in_class_folders(labels, ids) if labels.folders else find_matches(labels.videos, ids)
    names: dict[str, list[str]] = {}
    for name, video_id in matches.found.items():
        names.setdefault(video_id, []).append(name)
    by_id = {
        video_id: tuple(dict.fromkeys(label for name in alike for label in labels.videos[name]))
        for video_id, alike in names.items()
    }
    # A video may be in several class folders; two rows of a file may not mean one video.
    doubled = {
        video_id: tuple(alike)
        for video_id, alike in names.items()
        if len(alike) > 1 and not labels.folders
    }
    excused = find_matches(matches.unknown, failed)
    lost = {*excused.found, *excused.ambiguous}
    return LabelMatches(
        labels,
        matches,
        by_id,
        doubled,
        tuple(name for name in matches.unknown if name in lost),
        tuple(name for name in matches.unknown if name not in lost),
        tuple(ids),
        where,
        what,
    )


def _in_class_folders(labels: Labels, ids: Sequence[str]) -> Matches:
    """Names whose first folder is their class: the path below it may be the id too.

    Only a video outside all class folders is matched by the path below: ``run/a`` never means
    ``jump/a``.
    """
    whole = find_matches(labels.videos, ids)
    below = {
        name: name.split("/", 1)[1]
        for name in labels.videos
        if labels.videos[name] and whole.kinds.get(name) not in (MatchKind.ID, MatchKind.SUFFIX)
    }
    classes = set(labels.classes)
    outside = [video_id for video_id in ids if not classes & set(video_id.split("/")[:-1])]
    rest = find_matches(below.values(), outside)
    found, kinds, ambiguous = dict(whole.found), dict(whole.kinds), dict(whole.ambiguous)
    for name, path in below.items():
        if path in rest.found:
            found[name], kinds[name] = rest.found[path], rest.kinds[path]
            ambiguous.pop(name, None)
        elif path in rest.ambiguous and name not in found:
            ambiguous.setdefault(name, rest.ambiguous[path])
    ordered = [name for name in labels.videos if name in found]
    named = set(found.values())
    return replace(
        whole,
        found={name: found[name] for name in ordered},
        kinds={name: kinds[name] for name in ordered},
        ambiguous=ambiguous,
        unknown=tuple(
            name for name in labels.videos if name not in found and name not in ambiguous
        ),
        unnamed=tuple(video_id for video_id in ids if video_id not in named),
    )


def nothing_to_learn(labels: Sequence[tuple[str, ...]]) -> str | None:
    """Why the labels of these videos cannot teach anything; None if they can."""
    if not any(labels):
        return "no training video has a label, nothing to learn"
    if len({frozenset(names) for names in labels}) == 1:
        same = f"all {len(labels)} training videos have the same label"
        only = "the only training video has the label"
        return (
            f"{same if labels[1:] else only} ({listing(labels[0])}); add videos of another class, "
            "or without any action"
        )
    return None
