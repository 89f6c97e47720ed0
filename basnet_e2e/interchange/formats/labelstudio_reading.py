"""Exports of Label Studio (JSON): what a person drew on the timeline, or chose for the video."""

import logging
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help, video_id
from basnet_e2e.intervals import Interval

log = logging.getLogger(__name__)
# Label Studio puts this before the name of a file that was uploaded.
UPLOAD = re.compile(r"data/upload/(?:\d+/)?[0-9a-f]{8}-")


def read(path: Path, document: Any, help: Help) -> list[AnnotatedVideo]:
    """The annotated tasks. Predictions are a model's and are not read.

    Of several annotations of one task the one marked as ground truth counts, else the latest.

    Raises:
        BasnetError: not an export of tasks, or its frames cannot be turned into seconds.
    """
    videos = []
    waiting = 0
    for task in document:
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise BasnetError(
                f"{path}: not Label Studio's JSON export, whose tasks have 'data' and "
                "'annotations' (JSON-MIN does not say all)"
            )
        annotation = _annotation(task)
        if annotation is None:
            waiting += 1
            continue
        videos.append(_video(path, task["data"], annotation, help))
    if waiting:
        log.info("%s: %d of %d tasks are not annotated, left out", path, waiting, len(document))
    return videos


def _annotation(task: dict[str, Any]) -> dict[str, Any] | None:
    done = [
        item
        for item in task.get("annotations") or []
        if isinstance(item, dict) and not item.get("was_cancelled")
    ]
    if not done:
        return None
    chosen = [item for item in done if item.get("ground_truth")]
    latest: dict[str, Any] = max(chosen or done, key=lambda item: str(item.get("updated_at", "")))
    return latest


def _video(
    path: Path, data: dict[str, Any], annotation: dict[str, Any], help: Help
) -> AnnotatedVideo:
    name = str(data.get("id") or "") or _id_of(path, data)
    intervals: list[Interval] = []
    labels: list[str] = []
    for result in annotation.get("result") or []:
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            raise BasnetError(f"{path}: a result of '{name}' has no value")
        labels += map(str, value.get("choices", []))
        # Results of other controls have no ranges, and now and then one of this has none either.
        if value.get("ranges"):
            intervals += _intervals(path, name, value, _rate(path, data, help))
    duration = data.get("duration")
    limit = float(duration) if isinstance(duration, int | float) and duration > 0 else None
    if limit is not None:
        intervals = [one.clip(limit) for one in intervals]
    intervals = [one for one in intervals if one.length > 0]
    return AnnotatedVideo.of(name, intervals, labels, limit)


def _rate(path: Path, data: dict[str, Any], help: Help) -> Fraction:
    if help.fps is not None:
        return help.fps
    try:
        rate = Fraction(str(data["fps"]))
    except (KeyError, ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise BasnetError(
            f"{path}: Label Studio counts frames; say how many a second has by the labelling "
            "configuration (its frameRate, 24 where it says nothing): --fps"
        )
    return rate


def _intervals(path: Path, name: str, value: dict[str, Any], rate: Fraction) -> Iterator[Interval]:
    try:
        for label in value["timelinelabels"]:
            for span in value["ranges"]:
                # Frames count from 1, and the last one is inside.
                first, last = int(span["start"]), int(span["end"])
                start, end = max(first - 1, 0) / rate, last / rate
                yield Interval(str(label), float(start), float(end))
    except (KeyError, TypeError, ValueError) as error:
        raise BasnetError(
            f"{path}: a stretch of time of '{name}' lacks frames or labels"
        ) from error


def _id_of(path: Path, data: dict[str, Any]) -> str:
    """Id by the address of the video; local files are served as ``...?d=PATH``."""
    address = next(
        (value for value in (data.get("video"), *data.values()) if _is_name(value)), None
    )
    if address is None:
        raise BasnetError(f"{path}: a task names no video")
    parts = urlsplit(address)
    given = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    return video_id(UPLOAD.sub("", given))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
