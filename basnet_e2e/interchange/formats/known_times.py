"""Known times in our own form: CSV ``video,label,start,end``, or ActivityNet-style JSON.

An end that is missing is a point, a label that is missing a stretch that nobody looked at, a video
that is only named one in which nothing happens. In JSON a point is a segment of one number.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.files.csv_rows import column_names, read_rows
from basnet_e2e.data.files.text_files import convert
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints, LeftOut
from basnet_e2e.interchange.json_text import json_text
from basnet_e2e.intervals import SECOND_DECIMALS, Interval
from weights.json_documents import Duration, Seconds

COLUMNS = ("video", "label", "start", "end")
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
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for video in videos:
        stretches = _stretches(video)
        for label, start, end in stretches:
            # An end that is missing is a point, a label that is missing an unknown stretch.
            rows.writerow(
                [video.video, label, f"{start:.3f}", "" if end == start else f"{end:.3f}"]
            )
        if not stretches:
            rows.writerow([video.video, "", "", ""])
    return text.getvalue()


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


class _Item(msgspec.Struct):
    segment: list[Seconds | None]
    label: str | None = None


class _Video(msgspec.Struct):
    annotations: list[_Item] | None = None
    annotation: Any = None
    duration: Duration | None = None


class _Database(msgspec.Struct):
    database: dict[str, _Video]


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a table of intervals or a database of annotations."""
    return file.has("database") or set(COLUMNS) <= set(column_names(file.text))


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The videos of all subsets.

    Raises:
        BasnetError: the file is damaged.
    """
    videos: dict[str, list[tuple[str, float, float]]] = {}
    durations: dict[str, float | None] = {}
    if file.document is None:
        for row in read_rows(file.path, COLUMNS):
            video, label, start, end = (row.cells[name] for name in COLUMNS)
            if not video:
                raise BasnetError(f"{row.where}: no video named")
            rows = videos.setdefault(video, [])
            if label or start or end:
                rows.append(_stretch(row.where, label, start, end or start))
    else:
        for video, entry in convert(file.path, file.document, _Database).database.items():
            if entry.annotations is None:
                yield LeftOut(video, "the key 'annotation'" if entry.annotation else "")
                continue
            durations[video], videos[video] = entry.duration, []
            for item in entry.annotations:
                first, last = [*item.segment, None, None][:2]
                where = f"{file.path}, video '{video}'"
                end_of = first if last is None else last
                videos[video].append(_stretch(where, item.label or UNKNOWN, first, end_of))
    for video, rows in videos.items():
        found = [Interval(*row) for row in rows if row[0] != UNKNOWN]
        unknown = [(start, end) for label, start, end in rows if label == UNKNOWN]
        yield AnnotatedVideo.of(video, found, (), durations.get(video), unknown)


def _stretch(where: str, label: str, start: Any, end: Any) -> tuple[str, float, float]:
    try:
        first, last = float(start), float(end)
    except (TypeError, ValueError) as error:
        raise BasnetError(f"{where}: '{start}' to '{end}' are not seconds, such as 12.5") from error
    if not 0 <= first <= last < float("inf") or (label == UNKNOWN and first == last):
        raise BasnetError(f"{where}: '{label}' from {first:g} to {last:g} s ends before it starts")
    return label, first, last
