"""Known times in our own form: CSV ``video,label,start,end``, or ActivityNet-style JSON.

An end that is missing is a point, a label that is missing a stretch that nobody looked at, a video
that is only named one in which nothing happens. In JSON a point is a segment of one number.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.annotations.csv_tables import INTERVAL_COLUMNS
from basnet_e2e.data.annotations.known_times import KnownTime, read_known_times
from basnet_e2e.data.files.csv_rows import column_names, csv_text
from basnet_e2e.data.files.text_files import convert, json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints, LeftOut
from basnet_e2e.intervals import SECOND_DECIMALS, Interval
from weights.json_documents import Duration

UNKNOWN = ""

# Writing -----------------------------------------------------------------------------------------


def known_times(path: Path, videos: Sequence[AnnotatedVideo]) -> str:
    """The times of actions as ``basnet train --intervals`` reads them, by the suffix of the file.

    Args:
        path: the file to write; ActivityNet-style JSON without subsets if it ends in ``.json``,
            else CSV.
        videos: those of which every class has its times; a missing one would be background.
    """
    if path.suffix.lower() == ".json":
        return json_text({"database": {video.video: _entry(video) for video in videos}})
    rows: list[Sequence[str]] = [INTERVAL_COLUMNS]
    for video in videos:
        stretches = _stretches(video)
        for label, start, end in stretches:
            end_cell = "" if end == start else f"{end:.3f}"
            rows.append((video.video, label, f"{start:.3f}", end_cell))
        if not stretches:
            rows.append((video.video, "", "", ""))
    return csv_text(rows)


def _stretches(video: AnnotatedVideo) -> list[tuple[str, float, float]]:
    """Label, start and end of everything that is known; the label of what nobody saw is empty."""
    found = [(one.label, one.start, one.end) for one in video.intervals]
    found += [(UNKNOWN, start, end) for start, end in video.unknown]
    return [
        (label, round(start, SECOND_DECIMALS), round(end, SECOND_DECIMALS))
        for label, start, end in found
    ]


def _entry(video: AnnotatedVideo) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if video.duration is not None:
        entry["duration"] = round(video.duration, SECOND_DECIMALS)
    entry["annotations"] = [
        ({"label": label} if label else {}) | {"segment": [start] if start == end else [start, end]}
        for label, start, end in _stretches(video)
    ]
    return entry


# Reading -----------------------------------------------------------------------------------------


class _Video(msgspec.Struct):
    annotations: list[KnownTime] | None = None
    annotation: Any = None
    duration: Duration | None = None


class _Database(msgspec.Struct):
    database: dict[str, _Video]


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a table of intervals or a database of annotations."""
    return file.has("database") or set(INTERVAL_COLUMNS) <= set(column_names(file.text))


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The videos of all subsets.

    Raises:
        BasnetError: the file is damaged.
    """
    if file.document is None:
        for name, times in read_known_times(file.path).videos.items():
            stretches = [(one.start, one.end) for one in times.unknown]
            found = [*times.intervals, *times.points]
            yield AnnotatedVideo.of(name, found, (), None, stretches)
        return
    for name, entry in convert(file.path, file.document, _Database).database.items():
        if entry.annotations is None:
            yield LeftOut(name, "the key 'annotation'" if entry.annotation else "")
            continue
        rows = [_stretch(f"{file.path}, video '{name}'", item) for item in entry.annotations]
        found = [one for one in rows if one.label != UNKNOWN]
        stretches = [(one.start, one.end) for one in rows if one.label == UNKNOWN]
        yield AnnotatedVideo.of(name, found, (), entry.duration, stretches)


def _stretch(where: str, item: KnownTime) -> Interval:
    one = item.interval
    end = one.start if math.isnan(one.end) else one.end
    if not 0 <= one.start <= end or (one.label == UNKNOWN and one.start == end):
        raise BasnetError(f"{where}: '{one.label}' has no start, or ends before it starts")
    return replace(one, end=end)
