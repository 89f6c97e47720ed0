"""Every annotation file that labels are read from: one row here and one file beside it."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.csv_tables import is_table
from basnet_e2e.data.files.text_files import parse_json, read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help

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

    Args:
        paths: files, or exported folders of FiftyOne.
        help: what the files do not say.

    Raises:
        BasnetError: a file is of no known tool or damaged, or two files are about one video.
    """
    videos: dict[str, AnnotatedVideo] = {}
    origin: dict[str, Path] = {}
    for path in map(Path, paths):
        for video in _read(path, help or Help()):
            if video.video in videos:
                raise BasnetError(
                    f"{path}: the video '{video.video}' stands in {origin[video.video]} already"
                )
            videos[video.video], origin[video.video] = video, path
    if not videos:
        raise BasnetError("no annotated video in these files")
    return list(videos.values())


def is_of_a_tool(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder is of one of these tools, not CSV or ActivityNet-style JSON."""
    if Path(path).is_dir() or read_text(path).lstrip().startswith("<"):
        return True
    if is_table(path):
        return False
    document = parse_json(path)
    return not (isinstance(document, dict) and "database" in document)


def _read(path: Path, help: Help) -> list[AnnotatedVideo]:
    if path.is_dir():
        path = path / FIFTYONE_DOCUMENT
    if read_text(path).lstrip().startswith("<"):
        found: list[AnnotatedVideo] = import_module(ELAN).read(path, help)
        return found
    document = parse_json(path)
    for module, is_own in JSON_READERS.values():
        if is_own(document):
            found = import_module(module).read(path, document, help)
            return found
    raise BasnetError(
        f"{path}: no annotations known here; expected a file of ELAN, {', '.join(JSON_READERS)}"
    )
