"""Rows of a CSV file whose header names its columns."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from basnet_e2e.data.files.text_files import read_text
from basnet_e2e.errors import BasnetError

# Spreadsheets of some languages separate by semicolons, and copied cells by tabs.
DELIMITERS = (",", ";", "\t")


def quote_advice(delimiter: str) -> str:
    """What to do about a row with more cells than the header."""
    return f"put a value that holds '{delimiter}' in quotes"


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        where: file and line, for messages.
        line: number of the line.
        cells: column -> text without blanks around it, for the columns asked for.
    """

    where: str
    line: int
    cells: dict[str, str]


def read_rows(
    path: Path, columns: Sequence[str], advice: Callable[[str], str] = quote_advice
) -> Iterator[Row]:
    """Read the columns of a CSV file by their names; other columns and empty rows are skipped.

    Cells are separated by commas, or by semicolons or tabs where only these make the header name
    all columns.

    Args:
        path: the file.
        columns: names of required columns, in lower case.
        advice: what to do about a row with more cells than the header, by delimiter.

    Raises:
        BasnetError: the file is missing or not text, or its header lacks a column.
    """
    text = read_text(path)
    delimiter = _delimiter(text, columns)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    places: dict[str, int] | None = None
    width = 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if places is None:
                places, width = _places(path, rows.line_num, row, columns), len(row)
                continue
            where = f"{path}, line {rows.line_num}"
            if any(cell.strip() for cell in row[width:]):
                raise BasnetError(
                    f"{where}: {len(row)} values for {width} columns; {advice(delimiter)}"
                )
            full = [*row, *[""] * (width - len(row))]
            cells = {name: full[place].strip() for name, place in places.items()}
            yield Row(where, rows.line_num, cells)
    except csv.Error as error:
        raise BasnetError(f"{path}, line {rows.line_num}: not a CSV file ({error})") from error


def parse_csv(path: str | os.PathLike[str], text: str) -> list[list[str]]:
    """Cells of a text separated by commas, row by row.

    Args:
        path: the file, for the message.
        text: its content.

    Raises:
        BasnetError: it is not a CSV file.
    """
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise BasnetError(f"{path}: not a CSV file ({error})") from error


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows, of which the first is the header, as the text of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def column_names(text: str) -> list[str]:
    """Names in the header of a table in lower case, by the delimiter that gives the most.

    A text that is not a table has few or none.
    """
    header = next((line for line in text.splitlines() if line.strip()), "")
    try:
        parsed = [next(csv.reader([header], delimiter=delimiter), []) for delimiter in DELIMITERS]
    except csv.Error:
        return []
    return max(map(_names, parsed), key=len)


def _delimiter(text: str, columns: Sequence[str]) -> str:
    """What separates cells: the delimiter by which the header names the most columns."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def named(delimiter: str) -> int:
        cells = (cell.strip().strip('"') for cell in header.split(delimiter))
        return len(set(columns) & set(_names(cells)))

    return max(DELIMITERS, key=named)


def _places(path: Path, line: int, header: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    names = _names(header)
    for wanted in columns:
        if wanted not in names:
            raise BasnetError(
                f"{path}, line {line}: no column '{wanted}' (the header is "
                f"'{','.join(header)}'); expected {','.join(columns)}, separated by commas, "
                "semicolons or tabs"
            )
        if names.count(wanted) > 1:
            raise BasnetError(f"{path}, line {line}: two columns are called '{wanted}'")
    return {name: names.index(name) for name in columns}


def _names(header: Iterable[str]) -> list[str]:
    return [name.strip().lower() for name in header]
