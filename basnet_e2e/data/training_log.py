"""The CSV log of a training run: its columns, and reading it."""

import math
import os

from basnet_e2e.data.files.csv_rows import parse_csv
from basnet_e2e.data.files.text_files import read_text
from basnet_e2e.errors import BasnetError

CSV_SUFFIX = ".log.csv"
STEP, LOSS, RATE, VALIDATION = "step", "loss", "rate", "validation_map"
HELD_OUT = "held_out_loss"


def read_log(path: str | os.PathLike[str]) -> dict[str, list[float | None]]:
    """Columns of a CSV log by name, ``step`` first; None where a cell is empty.

    An incomplete last row, as a killed run leaves it, is skipped.

    Raises:
        BasnetError: the file is not such a log, or is damaged.
    """
    text = read_text(path)
    whole = text[: text.rfind("\n") + 1]
    names, *rows = parse_csv(path, whole) or [[]]
    if names[:2] != [STEP, LOSS]:
        raise BasnetError(f"{path}: not a training log; 'basnet train --log csv' writes one")
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for number, row in enumerate(rows, start=2):
        try:
            for name, cell in zip(names, row, strict=True):
                columns[name].append(_finite(cell) if cell else None)
        except ValueError as error:
            raise BasnetError(f"{path}: line {number} is damaged ({error})") from error
    return columns


def _finite(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"'{cell}' is not a finite number")
    return value
