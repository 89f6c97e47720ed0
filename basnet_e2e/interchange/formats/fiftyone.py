"""Data sets of FiftyOne: a folder of videos and labels.json.

Written as temporal detections; read as these or as classifications of whole videos.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.files.text_files import convert
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    AnnotationFile,
    Hints,
    LeftOut,
    NotUnderstoodError,
    Unread,
)
from basnet_e2e.interchange.json_text import json_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.plain import in_time
from basnet_e2e.intervals import Interval, Localization

# Writing ------------------------------------------------------------------------------------------


DATA = "data"


def write(results: Sequence[Localization], media: Media | None = None) -> str:
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
    frames = _Frames(path, hints, list(found.labels))
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
                times = _times(item, video, frames)
            except NotUnderstoodError as error:
                unread.add(str(error), f"label {number}")
                continue
            labels.append(label)
            intervals += [Interval(label, *times)] if times else []
        if unread:
            yield LeftOut(video, str(unread))
        else:
            yield AnnotatedVideo.of(video, intervals, labels, frames.duration(video))


def _label(item: Any, classes: list[str]) -> str:
    label = item.get("label") if isinstance(item, dict) else item
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(classes):
            raise NotUnderstoodError(f"class {label} of {len(classes)} classes")
        return classes[label]
    if not isinstance(label, str) or not label.strip():
        raise NotUnderstoodError("a detection with no label")
    return label


def _times(item: Any, video: str, frames: "_Frames") -> tuple[float, float] | None:
    """Seconds from and to; None for a classification of the whole video."""
    if not isinstance(item, Mapping):
        return None
    try:
        if "timestamps" in item:
            start, end = (float(time) for time in item["timestamps"])
        elif "support" in item:
            start, end = (frames.time(video, int(number)) for number in item["support"])
        elif item.keys() <= {"label", "confidence", "logits", "attributes", "tags"}:
            return None
        else:
            raise NotUnderstoodError(f"an object with {', '.join(map(str, item))}")
    except (TypeError, ValueError, OverflowError) as error:
        raise NotUnderstoodError("a detection with no start and end") from error
    if not 0 <= start <= end < float("inf"):
        raise NotUnderstoodError("a detection that ends before it starts")
    return start, end


class _Frames:
    """Length and number of frames of the videos that are available."""

    def __init__(self, path: Path, hints: Hints, names: list[str]) -> None:
        from basnet_e2e.data.annotations.video_names import match_ids
        from extract.sources.find import files_by_id

        self._path = path
        self._files: dict[str, Path] = {}
        data = path.parent / "data"
        place = hints.videos or (data if data.is_dir() and any(data.iterdir()) else None)
        if place is not None:
            files = files_by_id([place])
            matched = match_ids(names, files).found
            self._files = {name: files[video_id] for name, video_id in matched.items()}
        self._facts: dict[str, tuple[float, int]] = {}

    def duration(self, video: str) -> float | None:
        return self._of(video)[0] if video in self._files else None

    def time(self, video: str, number: int) -> float:
        """Seconds of a frame; FiftyOne spreads frames from the first to the last evenly.

        Raises:
            BasnetError: the video is not available.
        """
        if video not in self._files:
            raise BasnetError(
                f"{self._path}: '{video}' is counted in frames; say where the videos are "
                "(--videos DIR), or export with use_timestamps=True"
            )
        duration, count = self._of(video)
        return (number - 1) / max(count - 1, 1) * duration

    def _of(self, video: str) -> tuple[float, int]:
        if video not in self._facts:
            from extract.video.isolation.isolated_clip import open_isolated

            with open_isolated(self._files[video]) as clip:
                self._facts[video] = clip.duration, clip.source_frames
        return self._facts[video]
