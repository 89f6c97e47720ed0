"""Write features in the layouts that other localizers read."""

import logging
import os
from pathlib import Path

import numpy as np

from basnet_e2e.data.features.layouts import StoredVideo, find_stored
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_folder, check_outputs
from basnet_e2e.errors import BasnetError
from weights.files import atomic_write

log = logging.getLogger(__name__)
# Name of a layout -> its files below the output folder.
LAYOUTS = {
    "basnet": "{stream}/{video}.npy",
    "actionformer": "{video}.npy",
    "npz": "{video}.npz",
}


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
    folder = Path(output)
    sources = find_stored(Path(features))
    check_folder(folder)
    check_outputs(
        [folder / name for source in sources for name in _names(layout, source)],
        Kind.ARRAYS,
        [path for source in sources for path in source.paths],
        force=force,
    )
    for source in sources:
        _write(folder, layout, source)
    settings = sources[0].settings()
    if sources[0].timed and {"fps", "length", "stride"} <= settings.keys():
        grid = "{fps},{length},{stride}".format(**settings)
        log.info("array files hold no times: read them back with --grid %s", grid)
    return len(sources)


def _names(layout: str, source: StoredVideo) -> set[str]:
    """Files of a video below the output folder."""
    streams = source.settings().get("streams") or source.by_stream()
    return {LAYOUTS[layout].format(video=source.id, stream=name) for name in streams}


def _write(folder: Path, layout: str, source: StoredVideo) -> None:
    streams = source.by_stream()
    if layout == "npz":
        with atomic_write(folder / f"{source.id}.npz") as file:
            np.savez(file, allow_pickle=False, **streams)
        return
    if layout == "actionformer":
        shortest = min(map(len, streams.values()))
        streams = {"": np.concatenate([part[:shortest] for part in streams.values()], axis=1)}
    for name, rows in streams.items():
        with atomic_write(folder / LAYOUTS[layout].format(video=source.id, stream=name)) as file:
            np.save(file, rows, allow_pickle=False)
