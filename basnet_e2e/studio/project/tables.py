"""The project's files as text: labels and intervals, as every other command reads them."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from basnet_e2e.data.annotations.csv_tables import COLUMNS, INTERVAL_COLUMNS, SEPARATOR
from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.data.files.csv_rows import Row, read_rows
from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.annotation import UNKNOWN, Annotation, Span


def read_label_rows(path: Path) -> dict[str, tuple[str, ...]]:
    """Classes by video as written; empty where there is no file.

    Unlike ``read_label_table`` it takes a file without any row.

    Raises:
        BasnetError: the file is damaged or names a video twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    if not path.is_file():
        return found
    for row in read_rows(path, COLUMNS):
        video = _video_of(row)
        if video in found:
            raise BasnetError(f"{row.where}: the video '{video}' is on an earlier line already")
        labels = (nfc(each.strip()) for each in row.cells["labels"].split(SEPARATOR))
        found[video] = tuple(dict.fromkeys(each for each in labels if each))
    return found


def read_span_rows(path: Path) -> dict[str, tuple[Span, ...]]:
    """Intervals, points and unknown stretches by video as written; empty where there is no file.

    Raises:
        BasnetError: the file is damaged.
    """
    found: dict[str, tuple[Span, ...]] = {}
    if not path.is_file():
        return found
    for row in read_rows(path, INTERVAL_COLUMNS):
        video = _video_of(row)
        cells = (row.cells["label"], row.cells["start"], row.cells["end"])
        found[video] = found.get(video, ()) + ((_span_of(row),) if any(cells) else ())
    return found


def _video_of(row: Row) -> str:
    if not row.cells["video"]:
        raise BasnetError(f"{row.where}: no video named")
    return nfc(row.cells["video"])


def _span_of(row: Row) -> Span:
    label, start, end = (row.cells[name] for name in ("label", "start", "end"))
    try:
        span = Span(float(start), float(end) if end else None, nfc(label))
    except ValueError as error:
        raise BasnetError(f"{row.where}: '{start}' to '{end}' are not seconds") from error
    if not (0 <= span.start < (span.end if span.end is not None else float("inf"))):
        raise BasnetError(f"{row.where}: {start} to {end} is not an interval")
    if span.end is None and span.label == UNKNOWN:
        raise BasnetError(f"{row.where}: a stretch without a label has a start and an end")
    return span


def label_text(annotations: Mapping[str, Annotation]) -> str:
    """The file ``labels.csv``."""
    rows = [
        (video, SEPARATOR.join(each.labels))
        for video, each in annotations.items()
        if each.labels is not None
    ]
    return _text(COLUMNS, rows)


def span_text(annotations: Mapping[str, Annotation]) -> str:
    """The file ``intervals.csv``.

    >>> print(span_text({"a": Annotation(("x",), (Span(1.0, None, "x"),))}), end="")
    video,label,start,end
    a,x,1.0,
    """
    rows: list[Sequence[object]] = []
    for video, each in annotations.items():
        if each.spans == ():
            rows.append((video, "", "", ""))
        for span in each.spans or ():
            rows.append((video, span.label, span.start, "" if span.end is None else span.end))
    return _text(INTERVAL_COLUMNS, rows)


def _text(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerows([header, *rows])
    return target.getvalue()
