"""Annotations of videos: labels for training, intervals for evaluation, and predictions to judge.

Labels are read from a CSV file (header ``video,labels``), from an ActivityNet-style JSON file or
from one folder per class; ground truth from a CSV file (header ``video,label,start,end``) or from
ActivityNet-style JSON:
``{"database": {video: {"subset", "duration", "annotations": [{"label", "segment": [s, e]}]}}}``.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from basnet_e2e.data.annotations import subsets
from basnet_e2e.data.annotations.csv_tables import is_table, read_interval_table, read_label_table
from basnet_e2e.data.annotations.video_names import (
    alike_classes,
    listing,
    nfc,
    unknown_message,
    without_suffix,
)
from basnet_e2e.data.files.text_files import convert, parse_json, read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval
from extract.sources.storage import names_below
from weights.json_documents import Name, Number, Seconds

log = logging.getLogger(__name__)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Labels:
    """Which classes occur in which video.

    Attributes:
        videos: name as written -> classes; an empty tuple means background only.
        classes: all classes in order of first appearance, or in the caller's order.
        durations: seconds, where the file states them.
        source: file or folder they were read from, for messages.
        published: whether they come from an annotation database, which may name videos that are
            no longer available; elsewhere an unknown name is a mistake.
        folders: whether they come from class folders: the first part of a name is then a class.
    """

    videos: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    durations: dict[str, float] = field(default_factory=dict)
    source: str = "labels"
    published: bool = False
    folders: bool = False


@dataclass(frozen=True)
class GroundTruth:
    """Annotated intervals of the videos of one subset.

    Attributes:
        videos: video -> intervals in file order; empty where nothing was annotated.
        durations: seconds, where the file states them.
        subset: name of the subset read; None where the file has no subsets.
        others: videos of the file that belong to other subsets.
        source: the file, for messages.
    """

    videos: dict[str, list[Interval]]
    durations: dict[str, float] = field(default_factory=dict)
    subset: str | None = None
    others: frozenset[str] = frozenset()
    source: str = "ground truth"

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that have at least one interval, in order of first appearance."""
        names = (one.label for intervals in self.videos.values() for one in intervals)
        return tuple(dict.fromkeys(names))


def read_labels(
    path: str | os.PathLike[str],
    subset: str | None = None,
    classes: Sequence[str] | None = None,
) -> Labels:
    """Read video-level labels from a CSV file, an ActivityNet-style JSON file or class folders.

    From a JSON file only the classes of the training subset are read, never an interval and never
    another subset. The training subset is ``train`` or ``training``, or ``validation`` where there
    is none, as in THUMOS'14.

    Args:
        path: the file, or a folder with one folder of videos (or features) per class; videos
            beside the class folders have no label.
        subset: subset of a JSON file to read instead of the training subset.
        classes: class list that fixes the order and must cover every label.

    Raises:
        BasnetError: the file is missing or damaged, names a video twice, or holds a label that is
            not in ``classes``.
    """
    source = Path(path)
    if source.is_dir():
        labels = _labels_of_folders(source)
    elif source.suffix.lower() == ".json":
        labels = _labels_of_database(source, subset)
    else:
        videos = read_label_table(source)
        labels = Labels(videos, classes_of(videos), source=os.fspath(source))
    for group in alike_classes(labels.classes):
        log.warning(
            "%s: %s count as %d classes; spell them alike if they are the same",
            path,
            listing(group),
            len(group),
        )
    return labels if classes is None else with_classes(labels, classes)


def read_classes(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read a class list, one name per line; blank lines are skipped.

    Raises:
        BasnetError: the file is missing, empty or names a class twice.
    """
    names = [nfc(line.strip()) for line in read_text(path).splitlines() if line.strip()]
    if not names:
        raise BasnetError(f"{path}: no class names in this file (one per line)")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BasnetError(f"{path}: {listing(doubled)} is listed twice")
    return tuple(names)


def read_ground_truth(path: str | os.PathLike[str], subset: str | None = None) -> GroundTruth:
    """Read the annotated intervals of one subset.

    Args:
        path: ActivityNet-style JSON (segments may be numbers or strings, in seconds), or a CSV
            file with the columns ``video,label,start,end``, without subsets; a row that names
            only a video says that nothing happens in it.
        subset: its name. Default: ``test``, ``testing`` or ``validation``, the first of these
            with intervals, or the only subset there is.

    Raises:
        BasnetError: the file is missing or not of these formats, or the subset is not in it.
    """
    if is_table(path):
        if subset is not None:
            raise BasnetError(f"{path}: a CSV file has no subset '{subset}'; leave out --subset")
        return GroundTruth(read_interval_table(path), source=os.fspath(path))
    chosen, entries, others = read_subset(path, Annotation, subset, "test")
    videos = {name: _intervals(path, name, entry) for name, entry in entries.items()}
    return GroundTruth(videos, durations_of(entries), chosen, others, os.fspath(path))


def classes_of(videos: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """All classes in order of first appearance."""
    return tuple(dict.fromkeys(label for labels in videos.values() for label in labels))


def with_classes(labels: Labels, classes: Sequence[str]) -> Labels:
    """Labels whose classes are those of a list, in its order.

    Raises:
        BasnetError: a label is not in the list.
    """
    wanted = tuple(nfc(name) for name in classes)
    extra = [name for name in labels.classes if name not in set(wanted)]
    if extra:
        raise BasnetError(
            f"{labels.source}: not in the class list: {unknown_message(extra, wanted)}"
        )
    return replace(labels, classes=wanted)


# One folder per class ----------------------------------------------------------------------------


def _labels_of_folders(folder: Path) -> Labels:
    videos: dict[str, tuple[str, ...]] = {}
    for name in names_below(folder):
        stem = without_suffix(name)
        if stem == name:
            continue
        if stem in videos:
            raise BasnetError(f"{folder}: two files named '{stem}' differ only in their suffix")
        first, inside, _ = name.partition("/")
        videos[stem] = (nfc(first),) if inside else ()
    classes = classes_of(videos)
    if not classes:
        raise BasnetError(
            f"{folder}: no labels in this folder; expected one folder of videos per class, or give "
            "a CSV or JSON file"
        )
    return Labels(videos, classes, source=os.fspath(folder), folders=True)


# ActivityNet-style JSON --------------------------------------------------------------------------


class Annotation(Struct, frozen=True):
    """One annotation, as most readers need it."""

    label: Name
    segment: Any = None  # labels are read without looking at the times


class Entry(Struct, Generic[Item], frozen=True):
    """What a database says of one video."""

    annotations: list[Item] | None
    subset: str | None = None
    duration: Number | None = None

    @property
    def items(self) -> list[Item]:
        """Its annotations; an empty list for null."""
        return self.annotations or []


def _labels_of_database(path: Path, subset: str | None) -> Labels:
    _, entries, _ = read_subset(path, Annotation, subset, "train")
    videos = {
        name: tuple(dict.fromkeys(nfc(item.label) for item in entry.items))
        for name, entry in entries.items()
    }
    return Labels(
        videos, classes_of(videos), durations_of(entries), os.fspath(path), published=True
    )


def read_subset(
    path: str | os.PathLike[str],
    kind: type[Item],
    wanted: str | None,
    purpose: Literal["train", "test"],
) -> tuple[str | None, dict[str, Entry[Item]], frozenset[str]]:
    """The videos of one subset of an ActivityNet-style file.

    Args:
        path: the file.
        kind: type of an annotation.
        wanted: name of the subset. Default: the one that published data sets use for the purpose.
        purpose: what the videos are read for.

    Returns:
        Name of the subset in the file's spelling (None if the file has no subsets), its videos, and
        the names of all others.

    Raises:
        BasnetError: the file is missing, damaged or of another format, or the subset is not in it.
    """
    entries = _read_database(path, kind)
    chosen = _choose_subset(path, entries, wanted, purpose)
    read = {name: entry for name, entry in entries.items() if chosen in (None, entry.subset)}
    return chosen, read, frozenset(entries.keys() - read.keys())


def _read_database(path: str | os.PathLike[str], kind: type[Item]) -> dict[str, Entry[Item]]:
    document = parse_json(path)
    entries = document.get("database") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise BasnetError(
            f"{path}: not an annotation file; expected an object 'database' of videos "
            "(ActivityNet format), or a CSV file with the header video,label,start,end"
        )
    if not entries:
        raise BasnetError(f"{path}: no videos in 'database'")
    for name, entry in entries.items():
        if isinstance(entry, dict) and "annotation" in entry and "annotations" not in entry:
            raise BasnetError(
                f"{path}: video '{name}' has a key 'annotation', as in COIN's files; rename it to "
                "'annotations' in all videos"
            )
    form: Any = Entry[kind]  # type: ignore[valid-type]  # known at run time only
    return {
        convert(path, name, Name, "$.database"): convert(path, entry, form, f"$.database['{name}']")
        for name, entry in entries.items()
    }


def _choose_subset(
    path: str | os.PathLike[str],
    entries: Mapping[str, Entry[Any]],
    wanted: str | None,
    purpose: Literal["train", "test"],
) -> str | None:
    sizes: dict[str, int] = {}
    for entry in entries.values():
        if entry.subset is not None:
            sizes[entry.subset] = sizes.get(entry.subset, 0) + len(entry.items)
    present = ", ".join(sorted(sizes)) or "none"
    if wanted is not None:
        alike = subsets.spellings(wanted)
        for name in sizes:
            if name == wanted or name.lower() in alike:
                return name
        raise BasnetError(f"{path}: no subset '{wanted}' (subsets: {present})")
    for spelling in subsets.candidates(purpose):
        for name, size in sizes.items():
            if name.lower() == spelling and (size or len(sizes) == 1):
                return name
    if not sizes or (len(sizes) == 1 and purpose == "test"):
        return next(iter(sizes), None)
    raise BasnetError(
        f"{path}: no {purpose} subset with annotations in this file (subsets: {present})"
    )


def _intervals(
    path: str | os.PathLike[str], video: str, entry: Entry[Annotation]
) -> list[Interval]:
    found = []
    for number, item in enumerate(entry.items):
        at = f"$.database['{video}'].annotations[{number}].segment"
        start, end = convert(path, item.segment, tuple[Seconds, Seconds], at)
        found.append(Interval(nfc(item.label), start, end))
    return found


def durations_of(entries: Mapping[str, Entry[Any]]) -> dict[str, float]:
    """Durations in seconds, where the file states them."""
    return {
        name: entry.duration
        for name, entry in entries.items()
        if entry.duration and entry.duration > 0
    }
