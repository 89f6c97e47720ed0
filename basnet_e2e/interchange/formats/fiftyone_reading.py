"""Data sets exported by FiftyOne (classification, temporal detection): a folder, labels.json."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.files.text_files import convert
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    Help,
    LeftOut,
    NotUnderstoodError,
    Unread,
)
from basnet_e2e.intervals import Interval


class _Document(msgspec.Struct):
    """A label is a name, the number of a class, or an object; a video has one or a list of them."""

    labels: dict[str, Any]
    classes: list[str] | None = None


def read(path: Path, document: Any, help: Help) -> Iterator[AnnotatedVideo | LeftOut]:
    """All videos of the data set; one with an empty list is background, null is not annotated.

    Raises:
        BasnetError: a detection is counted in frames of a video that is not available.
    """
    found = convert(path, document, _Document)
    frames = _Frames(path, help, list(found.labels))
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

    def __init__(self, path: Path, help: Help, names: list[str]) -> None:
        from basnet_e2e.data.annotations.video_names import match_ids
        from extract.sources.find import files_by_id

        self._path = path
        self._files: dict[str, Path] = {}
        data = path.parent / "data"
        place = help.videos or (data if data.is_dir() and any(data.iterdir()) else None)
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
