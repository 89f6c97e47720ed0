"""A benchmark as it is published: features, annotations and split lists in one folder."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from basnet_e2e.annotations import GroundTruth, read_ground_truth, read_labels
from basnet_e2e.dataset import (
    LabelledSet,
    VideoFeatures,
    check_settings,
    load_features,
    load_labelled,
)
from basnet_e2e.documents import read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.feature_layouts import find_sources, parse_grid
from basnet_e2e.naming import listing, match_ids
from basnet_e2e.reproduction.published import Protocol

log = logging.getLogger(__name__)
GROUND_TRUTH = "gt.json"
SPLIT = "split_{}.txt"


@dataclass(frozen=True)
class Benchmark:
    """What is trained on and judged by.

    Attributes:
        protocol: how it is judged; its title says so where the data are not those of the paper.
        same_data: whether they are, but for a few videos.
        train: training videos and the classes that occur in each; no interval.
        test: features of the test videos.
        truth: intervals of exactly these test videos, under the features' ids.
        notes: what a reader of the figures should know, one line each.
    """

    protocol: Protocol
    same_data: bool
    train: LabelledSet
    test: list[VideoFeatures]
    truth: GroundTruth
    notes: tuple[str, ...] = ()


def read_benchmark(
    root: Path,
    protocol: Protocol,
    *,
    ground_truth: Path | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
) -> Benchmark:
    """Read a benchmark's folder.

    Videos are those of ``split_train.txt`` and ``split_test.txt`` where these stand in the folder
    or beside the annotations, else those of the annotations' training and test (or validation)
    subsets. Training sees which classes occur in its videos and nothing else.

    Args:
        root: holds ``features/`` (or is it), and ``gt.json`` unless that is given.
        protocol: what the data are taken for.
        ground_truth: ActivityNet-style annotations of both subsets.
        streams: read only these; all there are without it.
        grid: ``fps,length,stride`` of array files; 25,16,16 without it.

    Raises:
        BasnetError: something is missing, damaged or does not fit together.
    """
    path = ground_truth or root / GROUND_TRUTH
    if not root.is_dir():
        raise BasnetError(f"{root}: no such folder")
    if not path.is_file():
        raise BasnetError(f"{path}: no annotations there; name them with --ground-truth")
    folders = list(dict.fromkeys((root, path.parent)))
    train = _training(root, path, _split(folders, "train"), streams, grid)
    test, truth, absent = _test(root, path, _split(folders, "test"), streams, grid)
    check_settings(train.settings, test[0].settings, "training videos", f"test video {test[0].id}")
    both = {video.id for video in train.videos} & {video.id for video in test}
    if both:
        raise BasnetError(f"{path}: trained and tested on the same videos: {listing(sorted(both))}")
    same = len(train.classes) == protocol.classes
    notes = [*_other_data(protocol, train, test)]
    if absent:
        notes.append(
            f"{len(absent)} annotated test videos have no features and do not count "
            f"({listing(absent)}); figures over all test videos are not comparable"
        )
    if not same:
        title = f"{root.resolve().name} (judged as {protocol.title})"
        protocol = replace(protocol, title=title)
    return Benchmark(protocol, same, train, test, truth, tuple(notes))


def _split(folders: Sequence[Path], part: str) -> list[str] | None:
    """Names in a split list, or None where there is no such list."""
    for folder in folders:
        path = folder / SPLIT.format(part)
        if path.is_file():
            names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
            if not names:
                raise BasnetError(f"{path}: no video in this list")
            return names
    return None


def _listed(split: Sequence[str], annotated: Iterable[str], path: Path, part: str) -> list[str]:
    """Annotated videos that a split list names.

    Raises:
        BasnetError: it names a video that is not annotated in this part.
    """
    found = match_ids(split, annotated)
    if found.unknown:
        raise BasnetError(
            f"{path}: videos of {SPLIT.format(part)} that are not annotated as {part} videos: "
            f"{listing(found.unknown)}"
        )
    return list(dict.fromkeys(found.found.values()))


def _training(
    root: Path,
    path: Path,
    split: list[str] | None,
    streams: Sequence[str] | None,
    grid: str | None,
) -> LabelledSet:
    labels = read_labels(path)
    if split is not None:
        names = _listed(split, labels.videos, path, "train")
        kept = {name: classes for name, classes in labels.videos.items() if name in names}
        labels = replace(labels, videos=kept)
    # The released code lists its classes by name; `official` treats the first one specially.
    labels = replace(labels, classes=tuple(sorted(labels.classes)))
    return load_labelled(root, labels, streams=streams, grid=grid)


def _test(
    root: Path,
    path: Path,
    split: list[str] | None,
    streams: Sequence[str] | None,
    grid: str | None,
) -> tuple[list[VideoFeatures], GroundTruth, list[str]]:
    """Features and intervals of the test videos, and annotated videos without features."""
    truth = read_ground_truth(path)
    wanted = list(truth.videos)
    if split is not None:
        wanted = _listed(split, wanted, path, "test")
    sources = find_sources(root, subset="test", streams=streams, grid=parse_grid(grid))
    ids = match_ids(wanted, [source.id for source in sources]).found
    if not ids:
        raise BasnetError(f"{root}: no features of the {len(wanted)} test videos of {path}")
    test = load_features(
        root,
        ids=list(ids.values()),
        subset="test",
        streams=streams,
        grid=grid,
        durations={ids[name]: seconds for name, seconds in truth.durations.items() if name in ids},
    )
    videos = {ids[name]: truth.videos[name] for name in wanted if name in ids}
    durations = {ids[name]: value for name, value in truth.durations.items() if name in ids}
    kept = replace(truth, videos=videos, durations=durations, others=frozenset())
    absent = [name for name in wanted if name not in ids]
    return test.videos, kept, absent


def _other_data(protocol: Protocol, train: LabelledSet, test: Sequence[VideoFeatures]) -> list[str]:
    """A note where these are not the data that the published figures are of."""
    here = len(train.classes), len(train.videos), len(test)
    there = protocol.classes, *protocol.videos
    if here == there:
        return []
    described = "{} classes, {} training and {} test videos"
    if here[0] == there[0]:
        return [
            f"{described.format(*here)}, where {protocol.title} has {there[1]} and {there[2]}: "
            "published figures are of slightly other data"
        ]
    return [
        f"these are not the data of {protocol.title} ({described.format(*here)} instead of "
        f"{described.format(*there)}): published figures stand beside for scale only"
    ]
