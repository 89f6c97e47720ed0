"""Temporal detection data sets exported by FiftyOne: a folder, or its labels.json."""

from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help
from basnet_e2e.intervals import Interval


def read(path: Path, document: Any, help: Help) -> list[AnnotatedVideo]:
    """All videos of the data set; one without detections is background.

    Raises:
        BasnetError: a detection lacks its times or label, or is counted in frames of a video that
            is not at hand.
    """
    classes = document.get("classes")
    frames = _Frames(path, help, list(document["labels"]))
    videos = []
    for video, items in document["labels"].items():
        found = [
            Interval(_label(path, video, item, classes), *_times(path, video, item, frames))
            for item in items or []
        ]
        videos.append(AnnotatedVideo.of(video, found, duration=frames.duration(video)))
    return videos


def _label(path: Path, video: str, item: Any, classes: Any) -> str:
    label = item.get("label") if isinstance(item, dict) else None
    if isinstance(label, int) and isinstance(classes, list) and 0 <= label < len(classes):
        label = classes[label]
    if not isinstance(label, str) or not label:
        raise BasnetError(f"{path}: a detection of '{video}' has no label")
    return label


def _times(path: Path, video: str, item: Any, frames: "_Frames") -> tuple[float, float]:
    try:
        if "timestamps" in item:
            start, end = (float(time) for time in item["timestamps"])
        else:
            start, end = (frames.time(video, int(number)) for number in item["support"])
    except (KeyError, TypeError, ValueError) as error:
        raise BasnetError(f"{path}: a detection of '{video}' has no start and end") from error
    if not 0 <= start < end:
        raise BasnetError(f"{path}: a detection of '{video}' ends before it starts")
    return start, end


class _Frames:
    """Length and number of frames of the videos that are at hand."""

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
            BasnetError: the video is not at hand.
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
