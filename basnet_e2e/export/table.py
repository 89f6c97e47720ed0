"""Every format that intervals can be written in: one row here and one file beside it."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module

from basnet_e2e.errors import BasnetError
from basnet_e2e.export.document import result_document
from basnet_e2e.export.json_text import json_text
from basnet_e2e.intervals import Failure, Localization

OWN = "json"
# format -> module with ``write(results: Sequence[Localization]) -> str``, imported at first use.
WRITERS = {
    "activitynet": "basnet_e2e.export.activitynet",
    "csv": "basnet_e2e.export.csv",
    "srt": "basnet_e2e.export.srt",
}
FORMATS = (OWN, *WRITERS)


def format_results(
    results: Sequence[Localization],
    failed: Sequence[Failure] = (),
    format: str = "json",
    *,
    many: bool | None = None,
    left: Sequence[str] = (),
) -> str:
    """One document with the intervals of all videos, ending in a line end.

    Args:
        results: one entry for each video that was localized.
        failed: videos that gave no result; only the format ``json`` can hold them.
        format: ``json`` (an object for one video, else ``{"videos", "failed"}``), ``activitynet``
            (the toolkit's detection format), ``csv``, or ``srt`` (subtitles, one video only).
        many: write the ``videos`` document even for one video; by default it is written unless
            there is exactly one result and no failure.
        left: ids of videos that an interrupted run did not come to (format ``json``).

    Raises:
        BasnetError: the format is unknown, or is ``srt`` and there are several videos.
    """
    if format == OWN:
        document = result_document(results, failed, many)
        return json_text(document | ({"left": list(left)} if left else {}))
    if format not in WRITERS:
        raise BasnetError(f"no result format {format!r}; choose one of {', '.join(FORMATS)}")
    write: Callable[[Sequence[Localization]], str] = import_module(WRITERS[format]).write
    return write(results)


def write_results(
    path: str | os.PathLike[str],
    results: Sequence[Localization],
    failed: Sequence[Failure] = (),
    format: str = "json",
    *,
    many: bool | None = None,
) -> None:
    """Write what :func:`format_results` gives to a file, whole or not at all."""
    from weights.files import write_text

    write_text(path, format_results(results, failed, format, many=many))
