"""The project's files as text: labels and intervals, as every other command reads them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from basnet_e2e.data.annotations.csv_tables import (
    INTERVAL_COLUMNS,
    interval_rows,
    label_table,
    read_label_table,
    seconds,
)
from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.data.files.csv_rows import Row, csv_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.annotation import UNKNOWN, Annotation, Span


def saved_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """Classes by video as written; empty if there is no file.

    Raises:
        BasnetError: the file is damaged or names a video twice.
    """
    return read_label_table(path, may_be_empty=True) if path.is_file() else {}


def saved_spans(path: Path) -> dict[str, tuple[Span, ...]]:
    """Intervals, points and unknown stretches by video as written; empty if there is no file.

    Raises:
        BasnetError: the file is damaged.
    """
    rows = interval_rows(path, may_be_empty=True) if path.is_file() else {}
    return {video: tuple(map(_span_of, each)) for video, each in rows.items()}


def _span_of(row: Row) -> Span:
    end = seconds(row, "end") if row.cells["end"] else None
    span = Span(seconds(row, "start"), end, nfc(row.cells["label"]))
    if not 0 <= span.start < (math.inf if end is None else end):
        raise BasnetError(
            f"{row.where}: {row.cells['start']} to {row.cells['end']} is not an interval"
        )
    if end is None and span.label == UNKNOWN:
        raise BasnetError(f"{row.where}: a stretch without a label has a start and an end")
    return span


def label_text(annotations: Mapping[str, Annotation]) -> str:
    """The file ``labels.csv``."""
    said = {video: each.labels for video, each in annotations.items() if each.labels is not None}
    return label_table(said)


def span_text(annotations: Mapping[str, Annotation]) -> str:
    """The file ``intervals.csv``.

    >>> print(span_text({"a": Annotation(("x",), (Span(1.0, None, "x"),))}), end="")
    video,label,start,end
    a,x,1.0,
    """
    rows: list[Sequence[object]] = [INTERVAL_COLUMNS]
    for video, each in annotations.items():
        if each.spans == ():
            rows.append((video, "", "", ""))
        for span in each.spans or ():
            rows.append((video, span.label, span.start, "" if span.end is None else span.end))
    return csv_text(rows)
