"""Aggregated events that BORIS exports as a table (TSV, CSV): one row per event."""

import re
from collections.abc import Iterator, Sequence

from basnet_e2e.data.files.csv_rows import Row, column_names, read_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints, LeftOut, Unread
from basnet_e2e.interchange.observations import Event, Observation, annotated

OBSERVATION = "observation id"
COLUMNS = (OBSERVATION, "behavior", "behavior type", "start (s)", "stop (s)")
# Of several names by version the first that is there counts.
MEDIA = ("source", "media file", "media file name")
LENGTHS = ("media duration (s)", "total length", "observation duration")
OFFSET = "time offset (s)"
PLAYER = re.compile(r"^player #\d+:")
NO_SUBJECT = "No focal subject"
NO_VIDEO = ("", "NA", "LIVE", "Not found")


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a table of aggregated events."""
    return {OBSERVATION, "behavior"} <= set(column_names(file.text))


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The videos that have events; others are not in such a table.

    Raises:
        BasnetError: a column is missing, or a row is damaged.
    """
    there = column_names(file.text)
    modifiers = [name for name in there if name.startswith("modifier")]
    optional = [name for name in (*MEDIA, *LENGTHS, OFFSET, "subject", *modifiers) if name in there]
    media = next((name for name in MEDIA if name in there), None)
    if media is None:
        raise BasnetError(f"{file.path}: no column '{MEDIA[-1]}' or '{MEDIA[1]}'")
    observations: dict[str, Observation] = {}
    events: dict[str, list[Event]] = {}
    for row in read_rows(file.path, [*COLUMNS, *optional]):
        name = row.cells[OBSERVATION]
        if name not in observations:
            files = _files(row.cells[media])
            events[name] = []
            observations[name] = Observation(name, files, _lengths(row, files), events[name])
        events[name] += _events(row, modifiers, observations[name].unread)
    for name, one in observations.items():
        if not one.files:
            yield LeftOut(name, "an observation without video")
    yield from annotated([one for one in observations.values() if one.files], hints)


def _files(cell: str) -> list[str]:
    """Files of the first player; of several players each has its number before its files."""
    first = PLAYER.sub("", cell.split("|")[0])
    return [path.strip() for path in first.split(";") if path.strip() not in NO_VIDEO]


def _lengths(row: Row, files: Sequence[str]) -> list[float | None]:
    cell = next((row.cells[name] for name in LENGTHS if row.cells.get(name)), "")
    parts = cell.split("|")[0].split(";")
    if len(parts) != len(files):
        return [None] * len(files)
    return [_number(part) for part in parts]


def _events(row: Row, modifiers: Sequence[str], unread: Unread) -> list[Event]:
    """The event of a row; none where it is not understood."""
    cells = row.cells
    kind, code = cells["behavior type"].upper(), cells["behavior"]
    offset = _number(cells.get(OFFSET, "")) or 0.0
    start = _number(cells["start (s)"])
    stop = start if kind == "POINT" else _number(cells["stop (s)"])
    if kind not in ("STATE", "POINT") or not code or start is None or stop is None or stop < start:
        unread.add("an event without type, start or stop", f"line {row.line}")
        return []
    subject = cells.get("subject", "")
    return [
        Event(
            code,
            start - offset,
            stop - offset,
            "" if subject == NO_SUBJECT else subject,
            "|".join(cells[name] for name in modifiers),
        )
    ]


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
