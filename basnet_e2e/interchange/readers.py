"""Read what people annotated, in any format that the registry knows how to read."""

import gzip
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from basnet_e2e.data.annotations.result_files import result_files
from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.files.csv_rows import column_names
from basnet_e2e.data.files.text_files import parse_json, read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints, LeftOut
from basnet_e2e.interchange.registry import READERS

log = logging.getLogger(__name__)
LISTED = 5
GZIP = b"\x1f\x8b"
UNPACKED = 1 << 28  # bytes that a compressed file may hold


def read_annotations(
    paths: Sequence[str | os.PathLike[str]], hints: Hints | None = None
) -> list[AnnotatedVideo]:
    """Read annotation files of any of the tools; each is known by its content.

    A video of which not everything is understood is left out, and said so.

    Args:
        paths: files, or folders of FiftyOne, DeepEthogram or results.
        hints: what the files do not say.

    Raises:
        BasnetError: a file is of no known tool or damaged, two files are about one video, or none
            can be read.
    """
    videos: dict[str, AnnotatedVideo] = {}
    origin: dict[str, Path] = {}
    refused: list[str] = []
    for path in _files(map(Path, paths)):
        left_out = []
        for found in _read(path, hints or Hints()):
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


def is_of_a_tool(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder is of one of these tools, not CSV or JSON of our own form."""
    if Path(path).is_dir() or _is_packed(Path(path)):
        return True
    text = read_text(path)
    if text.lstrip()[:1] not in ("{", "["):
        return not {"video", "label"} <= set(column_names(text))
    document = parse_json(path)
    return not (isinstance(document, dict) and "database" in document)


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


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    """The files, and in folders the documents of tools that write folders."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        documents = [path / row.document for row in READERS.values() if row.document]
        found = [document for document in documents if document.is_file()]
        found = found or sorted(path.rglob(f"*{READERS['deepethogram'].suffix}"))
        yield from found or result_files(path)


def _read(path: Path, hints: Hints) -> Iterable[AnnotatedVideo | LeftOut]:
    file = open_annotations(path)
    for module in (row.load() for row in READERS.values()):
        if module.is_own(file):
            found: Iterable[AnnotatedVideo | LeftOut] = module.read(file, hints)
            return found
    names = ", ".join(row.about for row in READERS.values())
    raise BasnetError(f"{path}: no known annotations; expected a file of {names}")


def open_annotations(path: Path) -> AnnotationFile:
    """Read a file of some tool, compressed or not, and its JSON value if it is JSON.

    Raises:
        BasnetError: it is missing, damaged or not text.
    """
    text = _unpacked(path) if _is_packed(path) else read_text(path)
    is_json = text.lstrip()[:1] in ("{", "[")
    return AnnotationFile(path, text, parse_json(path, text) if is_json else None)


def _is_packed(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(GZIP)) == GZIP
    except OSError as error:
        raise BasnetError(f"{path}: cannot be read ({error.strerror})") from error


def _unpacked(path: Path) -> str:
    try:
        with gzip.open(path, "rb") as file:
            content = file.read(UNPACKED + 1)
        if len(content) > UNPACKED:
            raise BasnetError(f"{path}: holds more than {UNPACKED >> 20} MB; unpack it first")
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BasnetError(f"{path}: a damaged compressed file ({error})") from error
