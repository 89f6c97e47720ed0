"""Data sets of FiftyOne: a folder of videos and labels.json.

Written as temporal detections; read as these or as classifications of whole videos.
"""

import functools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.files.text_files import convert, json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    AnnotationFile,
    Hints,
    LeftOut,
    NotUnderstoodError,
    Unread,
)
from basnet_e2e.interchange.media import Media, find_media
from basnet_e2e.interchange.output_text import in_time
from basnet_e2e.intervals import Interval, Localization
from extract.video.isolation.isolated_clip import open_isolated

# Writing ------------------------------------------------------------------------------------------

DATA = "data"


def write(results: Sequence[Localization], media: Media) -> str:
    """``labels.json``: classes, and the intervals of each video in seconds.

    FiftyOne finds a video as ``data/<key>.<suffix>``, so the keys are the ids.
    """
    labels = {
        result.video: [
            {
                "label": found.label,
                "timestamps": [found.start, found.end],
                "confidence": found.score,
                "attributes": {},
            }
            for found in in_time(result)
        ]
        for result in results
    }
    classes = dict.fromkeys(item["label"] for items in labels.values() for item in items)
    return json_text({"classes": list(classes), "labels": labels})


def place_videos(folder: Path, media: Media) -> None:
    """Link the videos into ``data/``, or copy them where the system has no links.

    Raises:
        BasnetError: another file is in the place of a link.
    """
    for video, path in media.files.items():
        target = folder / DATA / f"{video}{path.suffix}"
        if folder.resolve() not in target.resolve().parents and not target.is_symlink():
            raise BasnetError(f"'{video}' is not a name inside {folder / DATA}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            if target.samefile(path):
                continue
            raise BasnetError(f"{target}: another file is there; choose an empty folder")
        try:
            os.symlink(path.resolve(), target)
        except OSError:
            shutil.copyfile(path, target)


# Reading ------------------------------------------------------------------------------------------


class _Document(msgspec.Struct):
    """A label is a name, the number of a class, or an object; a video has one or a list of them."""

    labels: dict[str, Any]
    classes: list[str] | None = None


def is_own(file: AnnotationFile) -> bool:
    """Whether a file holds labels by video."""
    return file.has("labels") and isinstance(file.document["labels"], dict)


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """All videos of the data set; one with an empty list is background, null is not annotated.

    Raises:
        BasnetError: a detection is counted in frames of a video that is not available.
    """
    path = file.path
    found = convert(path, file.document, _Document)
    data = path.parent / DATA
    place = hints.videos or (data if data.is_dir() and any(data.iterdir()) else None)
    files = find_media(found.labels, [place]) if place else {}
    for video, items in found.labels.items():
        if items is None:
            yield LeftOut(video)
            continue
        unread = Unread()
        intervals: list[Interval] = []
        labels: list[str] = []
        for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
            try:
                label = _label(item, found.classes or [])
                keys = item.keys() if isinstance(item, dict) else ()
                if "support" in keys and "timestamps" not in keys and video not in files:
                    raise BasnetError(
                        f"{path}: '{video}' is counted in frames; say where the videos are "
                        "(--videos DIR), or export with use_timestamps=True"
                    )
                times = _times(item, files.get(video))
            except NotUnderstoodError as error:
                unread.add(str(error), f"label {number}")
                continue
            labels.append(label)
            intervals += [Interval(label, *times)] if times else []
        if unread:
            yield LeftOut(video, str(unread))
        else:
            duration = _length(files[video])[0] if video in files else None
            yield AnnotatedVideo.of(video, intervals, labels, duration)


def _label(item: Any, classes: list[str]) -> str:
    label = item.get("label") if isinstance(item, dict) else item
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(classes):
            raise NotUnderstoodError(f"class {label} of {len(classes)} classes")
        return classes[label]
    if not isinstance(label, str) or not label.strip():
        raise NotUnderstoodError("a detection with no label")
    return label


def _times(item: Any, file: Path | None) -> tuple[float, float] | None:
    """Seconds from and to; None for a classification of the whole video."""
    if not isinstance(item, Mapping):
        return None
    try:
        if "timestamps" in item:
            start, end = (float(time) for time in item["timestamps"])
        elif "support" in item and file is not None:
            start, end = (_seconds(int(number), file) for number in item["support"])
        elif item.keys() <= {"label", "confidence", "logits", "attributes", "tags"}:
            return None
        else:
            raise NotUnderstoodError(f"an object with {', '.join(map(str, item))}")
    except (TypeError, ValueError, OverflowError) as error:
        raise NotUnderstoodError("a detection with no start and end") from error
    if not 0 <= start <= end < float("inf"):
        raise NotUnderstoodError("a detection that ends before it starts")
    return start, end


@functools.cache
def _length(video: Path) -> tuple[float, int]:
    """Seconds and number of frames."""
    with open_isolated(video) as clip:
        return clip.duration, clip.source_frames


def _seconds(frame: int, video: Path) -> float:
    """Time of a frame, counted from 1; FiftyOne spreads frames evenly from first to last."""
    duration, count = _length(video)
    return (frame - 1) / max(count - 1, 1) * duration
