"""A benchmark as it is published: features, annotations and split lists in one folder."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from basnet_e2e.data.annotations.annotations import (
    GroundTruth,
    Labels,
    read_ground_truth,
    read_labels,
)
from basnet_e2e.data.annotations.checks import odd_annotations
from basnet_e2e.data.annotations.video_names import listing, match_ids
from basnet_e2e.data.features.dataset import (
    LabelledSet,
    VideoFeatures,
    check_settings,
    load_features,
    load_labelled,
)
from basnet_e2e.data.features.layouts import find_stored
from basnet_e2e.data.files.text_files import read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.background import background_truth
from basnet_e2e.reproduction.published import Protocol

log = logging.getLogger(__name__)
GROUND_TRUTH = "gt.json"
SPLIT = "split_{}.txt"
# Share of the published videos that is needed to compare with published figures.
MOST_MISSING = 0.7


@dataclass(frozen=True)
class Benchmark:
    """Training and test videos of a benchmark.

    Attributes:
        protocol: how it is evaluated; its title says if the data are not those of the paper.
        same_data: whether they are, except for a few videos.
        train: training videos and the classes that occur in each, without intervals.
        test: features of the test videos.
        truth: intervals of exactly these test videos, under the features' ids.
        notes: remarks on the figures, one line each.
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
    labels: Path | None = None,
    streams: Sequence[str] | None = None,
    grid: str | None = None,
) -> Benchmark:
    """Read a benchmark's folder.

    Videos are those of ``split_train.txt`` and ``split_test.txt`` in the folder or beside the
    annotations, else those of the annotations' training and test (or validation) subsets. Training
    sees only which classes occur in its videos.

    Args:
        root: contains ``features/`` (or is that folder), and ``gt.json`` unless that is given.
        protocol: the benchmark.
        ground_truth: ActivityNet-style annotations of both subsets; with ``labels`` of the test
            subset, or a CSV of intervals.
        labels: classes of each training video, if they are not in the annotations.
        streams: read only these. Default: all.
        grid: ``fps,length,stride`` of array files. Default: 25,16,16.

    Raises:
        BasnetError: something is missing, damaged or does not fit together.
    """
    path = ground_truth or root / GROUND_TRUTH
    if not root.is_dir():
        raise BasnetError(f"{root}: no such folder")
    if not path.is_file():
        raise BasnetError(f"{path}: no annotations there; name them with --ground-truth")
    folders = list(dict.fromkeys((root, path.parent)))
    splits = {part: _split(folders, part) for part in ("train", "test")}
    learnt, truth = _annotated(path, labels, splits)
    train = load_labelled(root, learnt, streams=streams, grid=grid)
    test, truth, absent = _test(root, truth, streams, grid)
    check_settings(train.settings, test[0].settings, "training videos", f"test video {test[0].id}")
    _check_widths(train, test)
    same = _same_data(protocol, train, test)
    notes = [*_other_data(protocol, same, train, test), *odd_annotations(truth)]
    unseen = [name for name in truth.classes if name not in train.classes]
    if unseen:
        notes.append(f"no training video has the class {listing(unseen)}: its AP is 0")
    if absent:
        notes.append(
            f"{len(absent)} annotated test videos have no features and do not count "
            f"({listing(absent)}); figures over all test videos are not comparable"
        )
    if not same:
        title = f"{root.resolve().name} (evaluated like {protocol.title})"
        protocol = replace(protocol, title=title)
    return Benchmark(protocol, same, train, test, truth, tuple(notes))


def _split(folders: Sequence[Path], part: str) -> list[str] | None:
    """Names in a split list; None if there is no such list."""
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
    found.report("listed video", SPLIT.format(part))
    return list(dict.fromkeys(found.found.values()))


def _annotated(
    path: Path, labelled: Path | None, splits: Mapping[str, list[str] | None]
) -> tuple[Labels, GroundTruth]:
    """Labels of the training videos (from ``labelled`` if given), intervals of the test videos.

    Raises:
        BasnetError: the two parts share a video, or the annotations do not separate them.
    """
    labels, truth = read_labels(labelled or path), read_ground_truth(path)
    videos = labels.videos
    if splits["train"] is not None:
        names = set(_listed(splits["train"], videos, path, "train"))
        videos = {name: classes for name, classes in videos.items() if name in names}
    wanted = list(truth.videos)
    if splits["test"] is not None:
        wanted = _listed(splits["test"], wanted, path, "test")
    both = videos.keys() & set(wanted)
    if both and None in splits.values() and labelled is None:
        raise BasnetError(
            f"{path}: no test subset beside the training subset; name the videos of both parts in "
            f"{SPLIT.format('train')} and {SPLIT.format('test')}"
        )
    if both:
        raise BasnetError(f"{path}: trained and tested on the same videos: {listing(sorted(both))}")
    # The released code lists its classes by name; `official` treats the first one specially.
    classes = sorted({name for found in videos.values() for name in found})
    kept = {name: truth.videos[name] for name in wanted}
    return replace(labels, videos=videos, classes=tuple(classes)), replace(truth, videos=kept)


def _test(
    root: Path, truth: GroundTruth, streams: Sequence[str] | None, grid: str | None
) -> tuple[list[VideoFeatures], GroundTruth, list[str]]:
    """Features and intervals of the test videos, and annotated videos without features."""
    subset = "validation" if (truth.subset or "").lower().startswith("val") else "test"
    sources = find_stored(root, subset=subset, streams=streams, grid=grid)
    matches = match_ids(truth.videos, [source.id for source in sources])
    matches.report("test video", truth.source)
    ids = matches.found
    if not ids:
        raise BasnetError(
            f"{root}: no features of the {len(truth.videos)} test videos of {truth.source}"
        )
    if len(set(ids.values())) < len(ids):
        alike = [name for name in ids if list(ids.values()).count(ids[name]) > 1]
        raise BasnetError(f"{truth.source}: {listing(alike)} mean the same video of {root}")
    durations = {ids[name]: value for name, value in truth.durations.items() if name in ids}
    test = load_features(
        root,
        ids=list(ids.values()),
        subset=subset,
        streams=streams,
        grid=grid,
        durations=durations,
    )
    videos = {ids[name]: intervals for name, intervals in truth.videos.items() if name in ids}
    kept = replace(truth, videos=videos, durations=durations, others=frozenset())
    _check_judgeable(kept, test.videos)
    return test.videos, kept, [name for name in truth.videos if name not in ids]


def _check_judgeable(truth: GroundTruth, test: Sequence[VideoFeatures]) -> None:
    """Check before training that the test videos can be evaluated.

    Raises:
        BasnetError: no action, or no background, is annotated in the test videos.
    """
    if not truth.classes:
        raise BasnetError(f"{truth.source}: no annotated interval in the {len(test)} test videos")
    if not any(
        background_truth(video.start, video.end, truth.videos[video.id]).any() for video in test
    ):
        raise BasnetError(f"{truth.source}: every snippet of the test videos is in an action")


def _check_widths(train: LabelledSet, test: Sequence[VideoFeatures]) -> None:
    width = train.videos[0].x.shape[1]
    for video in test:
        if video.x.shape[1] != width:
            raise BasnetError(
                f"test video {video.id}: {video.x.shape[1]} numbers per snippet, training videos "
                f"have {width}"
            )


def _same_data(protocol: Protocol, train: LabelledSet, test: Sequence[VideoFeatures]) -> bool:
    """Whether these are the published data, except for videos that are no longer available."""
    here, there = (len(train.videos), len(test)), protocol.videos
    return len(train.classes) == protocol.classes and all(
        MOST_MISSING * want <= have <= want for have, want in zip(here, there, strict=True)
    )


def _other_data(
    protocol: Protocol, same: bool, train: LabelledSet, test: Sequence[VideoFeatures]
) -> list[str]:
    """A note if the published figures are for other data."""
    here = len(train.classes), len(train.videos), len(test)
    there = protocol.classes, *protocol.videos
    if here == there:
        return []
    described = "{} classes, {} training and {} test videos"
    if same:
        return [
            f"{described.format(*here)}, where {protocol.title} has {there[1]} and {there[2]}: "
            "published figures are for slightly different data"
        ]
    return [
        f"these are not the data of {protocol.title} ({described.format(*here)} instead of "
        f"{described.format(*there)}): published figures are for scale only"
    ]
