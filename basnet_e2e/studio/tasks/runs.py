"""Runs of training as files: what each learnt, the model, and the one before."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.project.project import MODEL, PREVIOUS
from weights.files import write_text

RUN = "training"  # folder of the current run, below .studio
RUNS, NEXT = "runs.json", "next.json"


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """Earlier runs, the oldest first."""
    path = folder / HIDDEN / RUNS
    runs: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.is_file() else []
    return runs


def note_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Add a run to those that are known."""
    write_text(folder / HIDDEN / RUNS, json.dumps([*read_runs(folder), dict(run)]))


def publish(folder: Path, model: Path) -> None:
    """Put a new model in the place of the old one, which is kept; there is one at any moment."""
    current, previous = folder / MODEL, folder / PREVIOUS
    if current.is_file():
        link = folder / HIDDEN / PREVIOUS
        link.unlink(missing_ok=True)
        os.link(current, link)
        os.replace(link, previous)
    os.replace(model, current)


def restore(folder: Path) -> None:
    """Exchange the model with the one before.

    Raises:
        BasnetError: there is none.
    """
    previous = folder / PREVIOUS
    if not previous.is_file():
        raise BasnetError("there is no model before this one")
    link = folder / HIDDEN / MODEL
    link.unlink(missing_ok=True)
    os.link(previous, link)
    publish(folder, link)
