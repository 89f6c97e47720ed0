"""Coded observations as BORIS knows them: behaviours over one or several videos, as annotations."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from basnet_e2e.data.annotations.video_names import base_name, listing
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Hints, LeftOut, Unread, video_id
from basnet_e2e.intervals import Interval

# Before the name of an observation that a model made.
PREDICTED = "basnet: "
# Seconds by which events may come after the end, since BORIS measures videos in its own way.
SLACK = 0.5
NONE = ("", "None")


@dataclass(frozen=True)
class Event:
    """A behaviour from start to stop, in seconds from the start of the first file.

    Attributes:
        code: the behaviour.
        start: seconds.
        stop: seconds; the start, of a point event.
        subject: who shows it; empty without a focal subject.
        modifiers: what is chosen of each set, separated by ``|``.
    """

    code: str
    start: float
    stop: float
    subject: str = ""
    modifiers: str = ""


@dataclass(frozen=True)
class Observation:
    """What one person coded of files that play one after the other.

    Attributes:
        name: its id in the project.
        files: paths of the first player.
        lengths: seconds of each file, None where the project does not say.
        events: paired and in order.
        observed: from and to seconds where only a part was observed.
        unread: what could not be read.
    """

    name: str
    files: Sequence[str]
    lengths: Sequence[float | None]
    events: Sequence[Event] = ()
    observed: tuple[float, float] | None = None
    unread: Unread = field(default_factory=Unread)


def annotated(
    observations: Sequence[Observation], hints: Hints
) -> Iterator[AnnotatedVideo | LeftOut]:
    """The videos of observations.

    Raises:
        BasnetError: none of the observations that were asked for exists.
    """
    names = {one.name for one in observations}
    if hints.observations and not names & set(hints.observations):
        raise BasnetError(
            f"no observation {listing(hints.observations)}; there are {listing(sorted(names))}"
        )
    chosen = [one for one in observations if one.name in (hints.observations or names)]
    subjects = {event.subject for one in chosen for event in one.events} - {""}
    ids = _ids(chosen)
    found: dict[str, list[tuple[Observation, int]]] = defaultdict(list)
    for one in chosen:
        for place, path in enumerate(one.files):
            found[ids[one.name, path]].append((one, place))
    for video, places in found.items():
        if len(places) > 1:
            several = listing([one.name for one, _ in places])
            yield LeftOut(
                video, f"{len(places)} observations of it ({several}); choose with --observation"
            )
            continue
        yield _video(video, *places[0], many_subjects=len(subjects) > 1, hints=hints)


def _ids(observations: Sequence[Observation]) -> dict[tuple[str, str], str]:
    """Observation and path -> id: the observation's own name where the path ends in it."""
    ids: dict[tuple[str, str], str] = {}
    shared: dict[str, set[str]] = defaultdict(set)
    for one in observations:
        for path in one.files:
            whole = video_id(path)
            shared[base_name(whole)].add(whole)
    for one in observations:
        own = one.name.removeprefix(PREDICTED)
        for path in one.files:
            whole = video_id(path)
            is_absolute = path.startswith(("/", "\\")) or path[1:2] == ":"
            bare = base_name(whole)
            if own and f"/{whole}".endswith(f"/{own}"):
                ids[one.name, path] = own
            else:
                unique = is_absolute and len(shared[bare]) == 1
                ids[one.name, path] = bare if unique else whole
    return ids


def _video(
    video: str, one: Observation, place: int, *, many_subjects: bool, hints: Hints
) -> AnnotatedVideo | LeftOut:
    unread = one.unread
    if len(one.files) > 1 and None in one.lengths:
        unread.add("several files whose lengths the project does not say")
    if one.observed and None in one.lengths:
        unread.add("an observed part of a file whose length the project does not say")
    known = [length or 0.0 for length in one.lengths]
    begin, length = sum(known[:place]), one.lengths[place]
    total = sum(known) if None not in one.lengths else float("inf")
    intervals = []
    for event in one.events:
        if event.start < -SLACK or event.stop > total + SLACK:
            unread.add(f"'{event.code}' outside the video", f"at {event.start:g} s")
            continue
        start, stop = event.start - begin, event.stop - begin
        last = place == len(one.files) - 1
        if event.start == event.stop:
            # A point at the border of two files is in the second, at the very end in the last.
            here = (start >= 0 or place == 0) and (length is None or last or start < length)
        else:
            here = stop > 0 and (length is None or start < length)
        if here:
            found = Interval(_label(event, many_subjects, hints), start, stop)
            intervals.append(found.clip(float("inf") if length is None else length))
    if unread:
        return LeftOut(video, f"observation '{one.name}': {unread}")
    unknown = _unobserved(one.observed, begin, length)
    return AnnotatedVideo.of(video, intervals, (), length, unknown)


def _unobserved(
    observed: tuple[float, float] | None, begin: float, length: float | None
) -> list[tuple[float, float]]:
    """Stretches of a file that are outside the observed part."""
    if observed is None or length is None:
        return []
    borders = [0.0, *(min(max(time - begin, 0.0), length) for time in observed), length]
    pairs = list(itertools.pairwise(borders))
    return [(start, end) for start, end in (pairs[0], pairs[2]) if end > start]


def _label(event: Event, many_subjects: bool, hints: Hints) -> str:
    modifiers = [part for part in event.modifiers.split("|") if part not in NONE]
    label = event.code
    if hints.with_modifiers and modifiers:
        label = f"{label} [{'|'.join(modifiers)}]"
    return f"{event.subject}: {label}" if many_subjects and event.subject else label
