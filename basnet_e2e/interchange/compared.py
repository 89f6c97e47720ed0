"""Files of any kind that say when something happens, and two of them about the same videos."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from basnet_e2e.data.annotations.video_names import counted, listing, match_ids
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Hints, video_id
from basnet_e2e.interchange.readers import read_annotations
from basnet_e2e.intervals import Interval, keep_best

log = logging.getLogger(__name__)


def timed_videos(paths: Sequence[Path], hints: Hints) -> list[AnnotatedVideo]:
    """Videos of which the times of every class are known, people's and a model's.

    Intervals of one class that overlap are joined, or thinned out to the best by score.

    Raises:
        BasnetError: a file cannot be read, or none of its videos has times.
    """
    found = read_annotations(paths, hints)
    whole = [video for video in found if video.is_timed]
    timed = [_without_overlaps(video) for video in whole]
    untimed = [video.video for video in found if not video.is_timed]
    if untimed:
        text = f"{counted(len(untimed), 'video')} with labels without times: {listing(untimed)}"
        if not timed:
            raise BasnetError(f"{paths[0]}: nothing but {text}")
        log.warning("%s: left out %s", paths[0], text)
    before, after = (sum(len(one.intervals) for one in videos) for videos in (whole, timed))
    if after < before:
        log.warning(
            "%s: %d of %d intervals overlap another of their class and are not counted apart",
            paths[0],
            before - after,
            before,
        )
    return timed


@dataclass(frozen=True)
class Pair:
    """Two annotations of one video, and how many seconds it lasts."""

    duration: float
    first: AnnotatedVideo
    second: AnnotatedVideo


def paired(first: tuple[Path, Hints], second: tuple[Path, Hints]) -> dict[str, Pair]:
    """Videos that two files annotate, by their name in the second file.

    A video lasts as long as either file says, or else to the end of the last interval.

    Raises:
        BasnetError: the files have no video in common, or several names of one video.
    """
    ours, theirs = (
        {video_id(video.video): video for video in timed_videos([path], hints)}
        for path, hints in (first, second)
    )
    matches = match_ids(ours, theirs)
    files = f"{first[0]} and {second[0]}"
    if not matches.found:
        raise BasnetError(
            f"{files} have no video in common: {listing(list(ours))} and {listing(list(theirs))}"
        )
    if len(set(matches.found.values())) < len(matches.found):
        raise BasnetError(f"{files}: several names of one video: {listing(list(matches.found))}")
    alone = [*matches.unknown, *matches.unnamed]
    if alone:
        log.warning(
            "left out %s in one of the files only: %s", counted(len(alone), "video"), listing(alone)
        )
    return {id_: _pair(ours[name], theirs[id_]) for name, id_ in matches.found.items()}


def _pair(first: AnnotatedVideo, second: AnnotatedVideo) -> Pair:
    both = first, second
    stated = [video.duration for video in both if video.duration is not None]
    ends = [one.end for video in both for one in video.intervals]
    ends += [end for video in both for _, end in video.unknown]
    return Pair(max(stated or ends or [0.0]), first, second)


def _without_overlaps(video: AnnotatedVideo) -> AnnotatedVideo:
    """People's intervals of a class that overlap are one, a model's are thinned out to the best."""
    points = [one for one in video.intervals if one.length == 0]
    best = keep_best(_joined([one for one in video.intervals if one.length > 0]))
    return AnnotatedVideo.of(
        video.video, [*points, *best], video.labels, video.duration, video.unknown
    )


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    """Overlapping intervals of one class and score as one."""
    joined: list[Interval] = []
    for one in sorted(intervals, key=lambda one: (one.label, one.score, one.start)):
        last = joined[-1] if joined else None
        if last and (last.label, last.score) == (one.label, one.score) and last.overlaps(one):
            joined[-1] = replace(last, end=max(last.end, one.end))
        else:
            joined.append(one)
    return joined
