"""Write features in the layouts that other localizers read."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.features.layouts import StoredVideo, find_stored, parse_grid
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_folder, check_outputs
from basnet_e2e.errors import BasnetError
from weights.files import atomic_write

log = logging.getLogger(__name__)
Streams = dict[str, NDArray[Any]]


def export_features(
    features: str | os.PathLike[str],
    output: str | os.PathLike[str],
    layout: str,
    *,
    force: bool = False,
) -> int:
    """Write every video of a features folder in another layout.

    Args:
        features: folder in any layout that can be read.
        output: folder to write into.
        layout: ``basnet`` (``{rgb,flow}/<video>.npy``), ``actionformer`` (``<video>.npy``, streams
            side by side) or ``npz`` (``<video>.npz`` with ``rgb`` and ``flow``).
        force: replace files that are not arrays.

    Returns:
        Number of videos.

    Raises:
        BasnetError: no such layout, features that cannot be read, or a file that must not be
            overwritten.
    """
    if layout not in LAYOUTS:
        raise BasnetError(f"no feature layout '{layout}'; choose one of {', '.join(LAYOUTS)}")
    if Path(features).resolve() == Path(output).resolve():
        raise BasnetError(f"{output}: export into another folder than the one that is read")
    folder, chosen = Path(output), LAYOUTS[layout]
    sources = find_stored(Path(features), subset=None, streams=None, grid=parse_grid(None))
    check_folder(folder)
    check_outputs(
        [folder / name for source in sources for name in chosen.names(source.id, _streams(source))],
        Kind.ARRAYS,
        [path for source in sources for path in source.paths],
        force=force,
    )
    for source in sources:
        chosen.write(folder, source.id, source.by_stream())
    settings = sources[0].settings()
    if sources[0].timed and {"fps", "length", "stride"} <= settings.keys():
        grid = "{fps},{length},{stride}".format(**settings)
        log.info("array files hold no times: read them back with --grid %s", grid)
    return len(sources)


def _streams(source: StoredVideo) -> tuple[str, ...]:
    return tuple(source.settings().get("streams") or source.by_stream())


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


@dataclass(frozen=True)
class Layout:
    """One way to lay out arrays in a folder.

    Attributes:
        names: files of a video with these streams, below the folder.
        write: writes them.
    """

    names: Callable[[str, Sequence[str]], list[str]]
    write: Callable[[Path, str, Streams], None]


LAYOUTS = {
    "basnet": Layout(lambda video, streams: [f"{name}/{video}.npy" for name in streams], _trees),
    "actionformer": Layout(lambda video, streams: [f"{video}.npy"], _joint),
    "npz": Layout(lambda video, streams: [f"{video}.npz"], _archive),
}
