"""Logs of training beside the model: a CSV file, or event files of TensorBoard.

A log records every step. When an interrupted run continues, the log drops what was written after
the step that the run continues from, so that each step is in it once.
"""

import contextlib
import csv
import importlib.util
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.data.training_log import (
    CSV_SUFFIX,
    HELD_OUT,
    LOSS,
    RATE,
    STEP,
    VALIDATION,
    read_log,
)
from basnet_e2e.errors import BasnetError
from basnet_e2e.training.loop import StepListener, TrainingStep
from weights.files import write_text


def log_path(kind: str, output: str | os.PathLike[str]) -> Path:
    """File or folder of the log of the run that writes the model ``output``."""
    return Path(f"{os.fspath(output)}{LOGS[kind][0]}")


@contextlib.contextmanager
def logged(
    kind: str | None, output: str | os.PathLike[str] | None, progress: StepListener | None
) -> Iterator[StepListener | None]:
    """A step listener that also writes a log.

    Args:
        kind: ``csv`` or ``tensorboard``; None writes no log.
        output: model file that the log is written beside.
        progress: listener to call too.

    Raises:
        BasnetError: the kind is unknown or not installed, or there is no output.
    """
    if kind is None:
        yield progress
        return
    if kind not in LOGS:
        raise BasnetError(f"a training log is one of {', '.join(LOGS)}, not {kind!r}")
    if output is None:
        raise BasnetError("a training log is written beside the model file: give an output")
    log = LOGS[kind][1](log_path(kind, output))

    def listener(step: TrainingStep) -> None:
        log.write(step)
        if progress is not None:
            progress(step)

    try:
        yield listener
    finally:
        log.close()


def step_values(step: TrainingStep) -> dict[str, float]:
    """What is logged of a step, by name: loss, its parts, rates, the metric if evaluated."""
    values = {LOSS: step.loss} | {f"{LOSS} {name}": each for name, each in step.parts.items()}
    for index, rate in enumerate(step.rates):
        values[f"{RATE} {index + 1}" if index else RATE] = rate
    if step.monitored is not None:
        values |= dict([step.monitored])
    return values


class CsvLog:
    """One row per step; columns as :func:`step_values` names them, empty if there is no value."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._file: IO[str] | None = None

    def write(self, step: TrainingStep) -> None:
        """Append a row; the first one drops older rows from its step on."""
        values = {STEP: float(step.step), **step_values(step)}
        if self._file is None or not values.keys() <= set(self._columns):
            self._file = self._open(values)
        self._write_row(self._file, values)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self, values: Mapping[str, float]) -> IO[str]:
        """Rewrite the rows before a step with columns for all values, to append from there."""
        self.close()
        first = values[STEP]
        found = first > 1 and self._path.is_file() and kind_of(self._path) is Kind.TRAINING_LOG
        before = read_log(self._path) if found else {}
        # The metric comes last, though its first value does not come first.
        names = dict.fromkeys([STEP, *before, *values])
        self._columns = sorted(names, key=(VALIDATION, HELD_OUT).__contains__)
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(self._columns)
        for cells in zip(*before.values(), strict=True):
            row = dict(zip(before, cells, strict=True))
            if row[STEP] is not None and row[STEP] < first:
                self._write_row(text, row)
        write_text(self._path, text.getvalue())
        # A line at a time, so that the file can be watched.
        return self._path.open("a", encoding="utf-8", newline="", buffering=1)

    def _write_row(self, file: IO[str], values: Mapping[str, float | None]) -> None:
        cells = (values.get(name) for name in self._columns)
        csv.writer(file, lineterminator="\n").writerow(
            "" if cell is None else f"{cell:.8g}" for cell in cells
        )


class TensorBoardLog:
    """Scalars in TensorBoard's event files."""

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise BasnetError(
                "logging for TensorBoard needs its package: pip install 'basnet-e2e[tensorboard]'"
            )
        self._path = path
        self._writer: Any = None

    def write(self, step: TrainingStep) -> None:
        """Add scalars; the first step makes TensorBoard drop older ones from there on."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._path), purge_step=step.step)
        for name, value in step_values(step).items():
            self._writer.add_scalar(name.replace(" ", "/"), value, step.step)

    def close(self) -> None:
        """Write what is still buffered."""
        if self._writer is not None:
            self._writer.close()


LOGS: dict[str, tuple[str, type[CsvLog | TensorBoardLog]]] = {
    "csv": (CSV_SUFFIX, CsvLog),
    "tensorboard": (".tensorboard", TensorBoardLog),
}
