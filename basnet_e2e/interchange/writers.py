"""Write results in any format: as text, or as files and folders."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.formats.boris import write_into as write
from basnet_e2e.interchange.formats.json import result_document
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.readers import open_annotations
from basnet_e2e.interchange.registry import FORMATS, OWN, WRITERS, Format
from basnet_e2e.intervals import Failure, Localization, keep_best
from weights.files import write_text

log = logging.getLogger(__name__)


def format_results(
    results: Sequence[Localization],
    failed: Sequence[Failure] = (),
    format: str = OWN,
    *,
    many: bool | None = None,
    media: Media | None = None,
    left: Sequence[str] = (),
) -> str:
    """One document with the intervals of all videos, with a newline at the end.

    Args:
        results: one entry for each video that was localized.
        failed: videos that gave no result; only the format ``json`` can hold them.
        format: one of ``FORMATS``; ``json`` is an object for one video, else
            ``{"videos", "failed"}``.
        many: write the ``videos`` document even for one video; by default it is written unless
            there is exactly one result and no failure.
        media: the video files, for formats that link them or count frames.
        left: ids of videos that an interrupted run did not come to (format ``json``).

    Raises:
        BasnetError: the format is unknown, or holds one video and there are none or several.
    """
    if format == OWN:
        document = result_document(results, failed, many)
        return json_text(document | ({"left": list(left)} if left else {}))
    chosen = _chosen(format)
    if chosen.one_video and len(results) != 1:
        raise BasnetError(f"a document of {format} belongs to one video, here are {len(results)}")
    fitting = _fitting(format, results)
    write = chosen.load().write
    return str(write(fitting[0] if chosen.one_video else fitting, media or Media()))


def write_results(
    path: str | os.PathLike[str],
    results: Sequence[Localization],
    failed: Sequence[Failure] = (),
    format: str = OWN,
    *,
    many: bool | None = None,
    media: Media | None = None,
) -> list[Path]:
    """Write results in a format, each file whole or not at all.

    Args:
        path: the file; a folder where the format is one, or where it holds one video a document
            and there are several: then ``<folder>/<id><suffix>``.
        results: as for :func:`format_results`, and so are the others.
        failed: videos that gave no result.
        format: one of ``FORMATS``.
        many: write the ``videos`` document even for one video.
        media: the video files.

    Returns:
        The documents that were written.

    Raises:
        BasnetError: as :func:`format_results`.
    """
    target, media = Path(path), media or Media()
    chosen = None if format == OWN else _chosen(format)
    documents = planned(target, results, format)
    for file, part in documents.items():
        here = replace(media, folder=file.parent)
        write_text(file, format_results(part, failed, format, many=many, media=here))
        if chosen and chosen.beside:
            write_text(file.with_suffix(chosen.beside), chosen.load().write_beside(part, here))
    if chosen and chosen.document:
        chosen.load().place_videos(target, media)
    return list(documents)


def write_into(project: Path, path: Path, results: Sequence[Localization], media: Media) -> None:
    """Write a copy of a project of BORIS with one more observation per result.

    Raises:
        BasnetError: it is not such a project, or has no room for a result.
    """
    here = replace(media, folder=path.parent)
    write_text(path, write(open_annotations(project), _fitting("boris", results), here))


def planned(
    path: Path, results: Sequence[Localization], format: str
) -> dict[Path, list[Localization]]:
    """The documents that :func:`write_results` writes, and which results each holds."""
    chosen = None if format == OWN else _chosen(format)
    if chosen and chosen.document:
        return {path / chosen.document: list(results)}
    if chosen and chosen.one_video and len(results) != 1:
        return {path / f"{safe_name(one.video)}{chosen.suffix}": [one] for one in results}
    return {path: list(results)}


def safe_name(video_id: str) -> str:
    """An id as a path that stays inside the folder it is put in.

    >>> safe_name("match/03"), safe_name("../../etc/passwd"), safe_name("/etc")
    ('match/03', '_/_/etc/passwd', '_/etc')
    """
    parts = video_id.replace("\\", "/").replace(":", "_").split("/")
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)


def _chosen(format: str) -> Format:
    if format not in WRITERS:
        raise BasnetError(f"no result format {format!r}; choose one of {', '.join(FORMATS)}")
    return WRITERS[format]


def _fitting(format: str, results: Sequence[Localization]) -> list[Localization]:
    """The results without overlaps within a class where the format cannot hold them."""
    if WRITERS[format].overlaps:
        return list(results)
    fitting = []
    dropped = 0
    for result in results:
        kept = [one for one in result.intervals if one.length > 0]
        best = keep_best(kept)
        dropped += len(kept) - len(best)
        fitting.append(replace(result, intervals=best))
    if dropped:
        log.warning(
            "%s holds no overlapping intervals of one class: %d weaker ones are left out",
            format,
            dropped,
        )
    return fitting
