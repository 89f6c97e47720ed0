"""Every annotation file that labels are read from: one row here and one file beside it."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.files.text_files import parse_json, read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help, LeftOut

log = logging.getLogger(__name__)
LISTED = 5
FIFTYONE_DOCUMENT = "labels.json"


# tool -> (module with ``read(path, document, help)``, whether a JSON document is its own).
JSON_READERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Label Studio": (
        "basnet_e2e.interchange.formats.labelstudio_reading",
        lambda document: isinstance(document, list),
    ),
    "FiftyOne": (
        "basnet_e2e.interchange.formats.fiftyone_reading",
        lambda document: isinstance(document, dict) and isinstance(document.get("labels"), dict),
    ),
    "VIA": (
        "basnet_e2e.interchange.formats.via_reading",
        lambda document: isinstance(document, dict) and {"metadata", "file"} <= document.keys(),
    ),
    "a corrected result": (
        "basnet_e2e.interchange.corrected_pages",
        lambda document: (
            isinstance(document, dict) and bool({"intervals", "videos"} & document.keys())
        ),
    ),
}
ELAN = "basnet_e2e.interchange.formats.elan_reading"


def read_annotations(
    paths: Sequence[str | os.PathLike[str]], help: Help | None = None
) -> list[AnnotatedVideo]:
    """Read annotation files of any of the tools; each is known by its content.

    A video of which not everything is understood is left out, and said so.

    Args:
        paths: files, or exported folders of FiftyOne.
        help: what the files do not say.

    Raises:
        BasnetError: a file is of no known tool or damaged, two files are about one video, or none
            can be read.
    """
    videos: dict[str, AnnotatedVideo] = {}
    origin: dict[str, Path] = {}
    refused: list[str] = []
    for path in map(Path, paths):
        left_out = []
        for found in _read(path, help or Help()):
            if isinstance(found, LeftOut):
                left_out.append(found)
                continue
            if found.video in videos:
                raise BasnetError(
                    f"{path}: the video '{found.video}' is in {origin[found.video]} already"
                )
            videos[found.video], origin[found.video] = found, path
        refused += _lines(path, left_out)
    if not videos:
        more = f" ({len(refused) - 1} more)" if len(refused) > 1 else ""
        raise BasnetError("; ".join(["no annotated video in these files", *refused[:1]]) + more)
    for line in refused[:LISTED]:
        log.warning("%s", line)
    if refused[LISTED:]:
        log.warning("%d more videos are left out (-v lists them)", len(refused) - LISTED)
    for line in refused[LISTED:]:
        log.debug("%s", line)
    return list(videos.values())


def _lines(path: Path, left_out: Sequence[LeftOut]) -> list[str]:
    """A line for each video that was not understood, and one for all that nobody annotated."""
    lines = [
        f"{path}: '{one.video}' is left out, not understood: {one.reason}"
        for one in left_out
        if one.reason
    ]
    waiting = [one.video for one in left_out if not one.reason]
    if waiting:
        counts = f"{counted(len(waiting), 'video')} without a submitted annotation"
        lines.append(f"{path}: {counts} left out: {listing(waiting)}")
    return lines


def _read(path: Path, help: Help) -> Iterable[AnnotatedVideo | LeftOut]:
    if path.is_dir():
        path = path / FIFTYONE_DOCUMENT
    if read_text(path).lstrip().startswith("<"):
        found: Iterable[AnnotatedVideo | LeftOut] = import_module(ELAN).read(path, help)
        return found
    document = parse_json(path)
    for module, is_own in JSON_READERS.values():
        if is_own(document):
            found = import_module(module).read(path, document, help)
            return found
    raise BasnetError(
        f"{path}: no known annotations; expected a file of ELAN, {', '.join(JSON_READERS)}"
    )
