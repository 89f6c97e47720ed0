"""Write features in the layouts that other localizers read."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.layouts import find_sources, parse_grid
from basnet_e2e.errors import BasnetError
from weights.files import atomic_write

log = logging.getLogger(__name__)
Streams = dict[str, NDArray[Any]]


def export_features(
    features: str | os.PathLike[str], output: str | os.PathLike[str], layout: str
) -> int:
    """Write every video of a features folder in another layout.

    Args:
        features: folder in any layout that can be read.
        output: folder to write into.
        layout: ``basnet`` (``{rgb,flow}/<video>.npy``), ``actionformer`` (``<video>.npy``, streams
            side by side) or ``npz`` (``<video>.npz`` with ``rgb`` and ``flow``).

    Returns:
        Number of videos.

    Raises:
        BasnetError: no such layout, or features that cannot be read.
    """
    if layout not in LAYOUTS:
        raise BasnetError(f"no feature layout '{layout}'; choose one of {', '.join(LAYOUTS)}")
    if Path(features).resolve() == Path(output).resolve():
        raise BasnetError(f"{output}: export into another folder than the one that is read")
    sources = find_sources(Path(features), subset=None, streams=None, grid=parse_grid(None))
    for source in sources:
        LAYOUTS[layout](Path(output), source.id, source.by_stream())
    if sources[0].timed:
        settings = sources[0].settings()
        grid = ",".join(str(settings[key]) for key in ("fps", "length", "stride"))
        log.info("array files hold no times: read them back with --grid %s", grid)
    return len(sources)


def _trees(folder: Path, video: str, streams: Streams) -> None:
    for name, rows in streams.items():
        _save(folder / name / f"{video}.npy", rows)


def _joint(folder: Path, video: str, streams: Streams) -> None:
    shortest = min(len(rows) for rows in streams.values())
    rows = np.concatenate([part[:shortest] for part in streams.values()], axis=1)
    _save(folder / f"{video}.npy", rows)


def _archive(folder: Path, video: str, streams: Streams) -> None:
    with atomic_write(folder / f"{video}.npz") as file:
        np.savez(file, allow_pickle=False, **streams)


def _save(path: Path, rows: NDArray[Any]) -> None:
    with atomic_write(path) as file:
        np.save(file, rows, allow_pickle=False)


LAYOUTS: dict[str, Callable[[Path, str, Streams], None]] = {
    "basnet": _trees,
    "actionformer": _joint,
    "npz": _archive,
}
