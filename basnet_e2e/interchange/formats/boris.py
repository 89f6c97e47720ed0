"""Projects of BORIS (.boris, .boris.gz), the tool in which behaviour scientists annotate."""

import copy
import string
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from basnet_e2e.data.annotations.video_names import listing
from basnet_e2e.data.files.text_files import convert, json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    AnnotationFile,
    Hints,
    LeftOut,
    Unread,
    video_id,
)
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.observations import PREDICTED, Event, Observation, annotated
from basnet_e2e.interchange.output_text import class_names, in_time, one_line
from basnet_e2e.intervals import Localization
from weights.json_documents import Duration, Seconds

VERSION = "7.0"
# A required field; no clock, so that equal results give equal bytes.
DATE = "2000-01-01T00:00:00"
PLAYERS = tuple("12345678")
KEYS = string.ascii_lowercase + string.digits + string.ascii_uppercase
STATE, POINT = "State event", "Point event"

# Writing -----------------------------------------------------------------------------------------


def write(results: Sequence[Localization], media: Media) -> str:
    """A project with an observation for each video, named by its id."""
    project = {
        "time_format": "hh:mm:ss",
        "project_date": DATE,
        "project_name": "basnet-e2e",
        "project_description": "Actions that a model found; the comment of a start is its score.",
        "project_format_version": VERSION,
        "subjects_conf": {},
        "behaviors_conf": {},
        "observations": {},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return _written(project, results, media, "")


def write_into(file: AnnotationFile, results: Sequence[Localization], media: Media) -> str:
    """A copy of a project with an observation ``basnet: VIDEO`` more for each video.

    Behaviours are matched by their code; nothing else of the project is touched.

    Raises:
        BasnetError: it is not a project, has such an observation already, or codes one of the
            classes as a point event.
    """
    if not is_own(file):
        raise BasnetError(f"{file.path}: not a project of BORIS")
    types = {one.code: one.type for one in _project(file).behaviors_conf.values()}
    points = [
        name for name in class_names(results) if name in types and not types[name].startswith(STATE)
    ]
    if points:
        raise BasnetError(
            f"{file.path}: {listing(points)} has no duration in this project (a point event); make "
            "it a state event, or rename the class"
        )
    there = [one.video for one in results if PREDICTED + one.video in file.document["observations"]]
    if there:
        raise BasnetError(
            f"{file.path}: has observations of {listing(there)} by a model already "
            f"('{PREDICTED}{there[0]}'); rename or delete them first"
        )
    return _written(copy.deepcopy(file.document), results, media, PREDICTED)


def _written(
    project: dict[str, Any], results: Sequence[Localization], media: Media, prefix: str
) -> str:
    behaviors = project["behaviors_conf"]
    known = {behavior["code"] for behavior in behaviors.values()}
    used = {behavior.get("key", "") for behavior in behaviors.values()}
    number = max((int(index) for index in behaviors if index.isdecimal()), default=-1) + 1
    for name in class_names(results):
        if name not in known:
            key = next((key for key in name.lower() + KEYS if key in KEYS and key not in used), "")
            used.add(key)
            behaviors[str(number)] = _behavior(name, key)
            number += 1
    paths = _paths(project)
    for result in results:
        path = paths.get(result.video) if result.video not in media.files else None
        project["observations"][prefix + result.video] = _observation(
            result, media, path or one_line(media.link(result))
        )
    return json_text(project)


def _paths(project: dict[str, Any]) -> dict[str, str]:
    """Id of a video -> path by which a project knows it, for all ids that its paths end in."""
    known: dict[str, str] = {}
    for observation in project["observations"].values():
        files = observation.get("file")
        for path in files.get("1", []) if isinstance(files, dict) else []:
            parts = video_id(path).split("/")
            known |= {"/".join(parts[start:]): path for start in range(len(parts))}
    return known


def _behavior(code: str, key: str) -> dict[str, Any]:
    return {
        "type": STATE,
        "key": key,
        "code": code,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _observation(result: Localization, media: Media, path: str) -> dict[str, Any]:
    rate = media.rate(result) if media.fps or result.video in media.files else None
    rows = []
    for found in in_time(result):
        code, score = one_line(found.label), f"score {found.score:.3f}"
        for time, comment in ((found.start, score), (found.end, "")):
            rows.append([time, "", code, "", comment, round(time * rate) if rate else "NA"])
    return {
        "file": {player: [path] if player == "1" else [] for player in PLAYERS},
        "type": "MEDIA",
        "date": DATE,
        "description": one_line(f"Found by basnet-e2e, model {result.model or 'unknown'}"),
        "time offset": 0.0,
        # Of two rows at one time the stop, which has no comment, comes first.
        "events": sorted(rows, key=lambda row: (row[0], row[4] != "")),
        "independent_variables": {},
        "close_behaviors_between_videos": False,
        "visualize_spectrogram": False,
        "media_info": {
            "length": {path: round(result.duration, 3)},
            "fps": {path: float(rate)} if rate else {},
            "hasVideo": {path: True},
            "hasAudio": {path: False},
            "offset": {"1": 0.0},
        },
    }


# Reading -----------------------------------------------------------------------------------------


class _Behavior(msgspec.Struct):
    code: str
    type: str


class _MediaInfo(msgspec.Struct):
    length: dict[str, Duration | None] = {}
    offset: dict[str, Seconds | None] = {}


class _Observation(
    msgspec.Struct,
    rename={
        "time_offset": "time offset",
        "interval": "observation time interval",
        "by_date": "media_creation_date_as_offset",
    },
):
    """One observation.

    An event is ``[time, subject, code, modifiers, comment, frame]``, of which the last few are
    missing in older projects; its time is that of the files plus the time offset.
    """

    events: list[list[Any]]
    type: str = "MEDIA"
    file: dict[str, list[str]] | list[str] = []
    time_offset: Seconds | None = None
    media_info: _MediaInfo | None = None
    interval: list[Seconds] = []
    by_date: bool = False


class _Project(msgspec.Struct):
    behaviors_conf: dict[str, _Behavior]
    observations: dict[str, _Observation]


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a project of BORIS."""
    return file.has("behaviors_conf", "observations")


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The videos of all observations; one without events is a video in which nothing happens.

    A state event is two rows of one subject, behaviour and modifiers, as BORIS pairs them.

    Raises:
        BasnetError: the project is damaged.
    """
    project = _project(file)
    types = {one.code: one.type for one in project.behaviors_conf.values()}
    observed = []
    for name, one in project.observations.items():
        files = one.file.get("1", []) if isinstance(one.file, dict) else one.file[:1]
        if one.type not in ("MEDIA", "VIDEO") or not files:
            yield LeftOut(name, f"an observation without video ({one.type})")
            continue
        observed.append(_coded(name, one, files, types))
    yield from annotated(observed, hints)


def _project(file: AnnotationFile) -> _Project:
    return convert(file.path, file.document, _Project)


def _coded(
    name: str, one: _Observation, files: Sequence[str], types: dict[str, str]
) -> Observation:
    unread = Unread()
    info = one.media_info or _MediaInfo()
    if info.offset.get("1"):
        unread.add("an offset of the first player")
    if one.by_date:
        unread.add("times that count from the date of the file")
    events = list(_paired(one, types, unread))
    observed = None
    if len(one.interval) == 2 and one.interval[1] > one.interval[0]:
        observed = one.interval[0], one.interval[1]
    lengths = [info.length.get(path) for path in files]
    return Observation(name, files, lengths, events, observed, unread)


def _paired(one: _Observation, types: dict[str, str], unread: Unread) -> Iterator[Event]:
    begun: dict[tuple[str, str, str], float] = {}
    for time, subject, code, modifiers in sorted(_rows(one, unread), key=lambda row: row[0]):
        if not types.get(code, "").startswith((STATE, POINT)):
            unread.add(f"'{code}', which the project does not define", f"at {time:g} s")
        elif types[code].startswith(POINT):
            yield Event(code, time, time, subject, modifiers)
        elif (subject, code, modifiers) in begun:
            yield Event(code, begun.pop((subject, code, modifiers)), time, subject, modifiers)
        else:
            begun[subject, code, modifiers] = time
    for (_, code, _), time in begun.items():
        unread.add(f"unpaired '{code}'", f"at {time:g} s")


def _rows(one: _Observation, unread: Unread) -> Iterator[tuple[float, str, str, str]]:
    """Time within the files, subject, code and modifiers of each row."""
    for number, row in enumerate(one.events, start=1):
        try:
            time = float(row[0]) - (one.time_offset or 0.0)
        except (IndexError, TypeError, ValueError, OverflowError):
            time = float("nan")
        texts = [*row[1:4], ""][:3]
        if abs(time) < float("inf") and len(texts) == 3 and all(isinstance(x, str) for x in texts):
            yield time, texts[0], texts[1].strip(), texts[2]
        else:
            unread.add("an event without time or behaviour", f"row {number}")
