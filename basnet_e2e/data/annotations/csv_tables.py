"""Annotations in CSV files: labels (``video,labels``) and intervals (``video,label,start,end``)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.data.files.csv_rows import Row, csv_text, read_rows
from basnet_e2e.data.files.text_files import read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval
from weights.json_documents import Seconds, convert

SEPARATOR = ";"
COLUMNS = ("video", "labels")
INTERVAL_COLUMNS = ("video", "label", "start", "end")


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether annotations are a CSV file: by the suffix, or because they cannot be JSON.

    Raises:
        BasnetError: the file is missing or not text.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".csv", ".tsv", ".json"):
        return suffix != ".json"
    return not read_text(path).lstrip().startswith(("{", "["))


def read_label_table(
    path: str | os.PathLike[str], *, may_be_empty: bool = False
) -> dict[str, tuple[str, ...]]:
    """Classes by video, from a CSV file with the columns ``video`` and ``labels``.

    Args:
        path: the file.
        may_be_empty: take a header without rows.

    Raises:
        BasnetError: the file is missing or damaged, or names no video or one twice.
    """
    videos: dict[str, tuple[str, ...]] = {}
    lines: dict[str, int] = {}
    for row in read_rows(Path(path), COLUMNS, _several_labels):
        name = _video_of(row)
        if nfc(name) in lines:
            raise BasnetError(f"{row.where}: video '{name}' is already on line {lines[nfc(name)]}")
        lines[nfc(name)] = row.line
        labels = (nfc(label.strip()) for label in row.cells["labels"].split(SEPARATOR))
        videos[name] = tuple(dict.fromkeys(label for label in labels if label))
    if not videos and not may_be_empty:
        raise BasnetError(f"{path}: no labelled video; expected the header video,labels and rows")
    return videos


def label_table(videos: Mapping[str, Sequence[str]]) -> str:
    """The label file that :func:`read_label_table` reads, from classes by video.

    Raises:
        BasnetError: a label file cannot hold a label.
    """
    for video, labels in videos.items():
        for label in labels:
            if SEPARATOR in label or label != label.strip() or not label:
                raise BasnetError(
                    f"a label file cannot hold the label '{label}' of video '{video}': "
                    f"no '{SEPARATOR}', and no space at its ends; rename it in the tool"
                )
    rows = ((video, SEPARATOR.join(labels)) for video, labels in videos.items())
    return csv_text([COLUMNS, *rows])


def read_interval_table(path: str | os.PathLike[str]) -> dict[str, list[Interval]]:
    """Annotated intervals by video, from a CSV file with ``video``, ``label``, ``start``, ``end``.

    Times are seconds. A row that names only a video says that nothing happens in it.

    Raises:
        BasnetError: the file is missing or damaged, or names no video.
    """
    return {name: [_interval(row) for row in rows] for name, rows in interval_rows(path).items()}


def interval_rows(
    path: str | os.PathLike[str], *, may_be_empty: bool = False
) -> dict[str, list[Row]]:
    """Rows with a label or a time by video; an empty list where a row names only the video.

    Args:
        path: the file.
        may_be_empty: take a header without rows.

    Raises:
        BasnetError: the file is missing or damaged, or names no video.
    """
    videos: dict[str, list[Row]] = {}
    spellings: dict[str, str] = {}
    for row in read_rows(Path(path), INTERVAL_COLUMNS):
        name = _video_of(row)
        rows = videos.setdefault(spellings.setdefault(nfc(name), name), [])
        if row.cells["label"] or row.cells["start"] or row.cells["end"]:
            rows.append(row)
    if not videos and not may_be_empty:
        raise BasnetError(
            f"{path}: no annotated video; expected the header {','.join(INTERVAL_COLUMNS)} and rows"
        )
    return videos


def seconds(row: Row, column: str) -> float:
    """A time of a row.

    Raises:
        BasnetError: it is not a finite number of seconds.
    """
    try:
        return convert(float(row.cells[column]), Seconds)
    except ValueError as error:
        raise BasnetError(
            f"{row.where}: {column} '{row.cells[column]}' is not a number of seconds, such as 12.5"
        ) from error


def _video_of(row: Row) -> str:
    if not row.cells["video"]:
        raise BasnetError(f"{row.where}: names no video")
    return row.cells["video"]


def _interval(row: Row) -> Interval:
    if not row.cells["label"]:
        raise BasnetError(f"{row.where}: an interval without a label")
    return Interval(nfc(row.cells["label"]), seconds(row, "start"), seconds(row, "end"))


def _several_labels(delimiter: str) -> str:
    text = f"several labels of one video are separated by '{SEPARATOR}'"
    return f'{text}, here in quotes: "run{SEPARATOR}jump"' if delimiter == SEPARATOR else text
