"""What a person said of a video in some annotation tool, and the files it is written to."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.video_names import without_suffix
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import SECOND_DECIMALS, Interval

SEPARATOR = ";"


@dataclass(frozen=True)
class Help:
    """What a person can add where a file does not say all.

    Attributes:
        fps: frames per second that the tool counted in.
        videos: video file or folder of videos.
    """

    fps: Fraction | None = None
    videos: Path | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """The labels of one video.

    Attributes:
        video: its id as far as the tool knows it.
        labels: what occurs in it, in order of first appearance; empty for background only.
        intervals: when, in seconds; empty too where the tool was asked for labels only.
        duration: seconds; None where the tool does not say.
    """

    video: str
    labels: tuple[str, ...]
    intervals: tuple[Interval, ...] = ()
    duration: float | None = None

    @classmethod
    def of(
        cls,
        video: str,
        intervals: Sequence[Interval],
        labels: Sequence[str] = (),
        duration: float | None = None,
    ) -> "AnnotatedVideo":
        """From intervals in any order and labels of the whole video."""
        ordered = sorted(intervals, key=lambda one: (one.start, one.end, one.label))
        names = dict.fromkeys([*(one.label for one in ordered), *labels])
        return cls(video, tuple(names), tuple(ordered), duration)


def video_id(name: str) -> str:
    """Id of a video that a tool names by a relative path.

    >>> video_id("../videos/match/03.mp4"), video_id("game.mp4")
    ('videos/match/03', 'game')
    """
    parts = without_suffix(name.replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def labels_csv(videos: Sequence[AnnotatedVideo]) -> str:
    """The label file of ``basnet train``: ``video,labels``.

    Raises:
        BasnetError: a label cannot stand in one.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "labels"])
    for video in videos:
        for label in video.labels:
            if SEPARATOR in label or label != label.strip() or not label:
                raise BasnetError(
                    f"the label '{label}' of video '{video.video}' cannot stand in a label file: "
                    f"no '{SEPARATOR}', and no space at its ends; rename it in the tool"
                )
        rows.writerow([video.video, SEPARATOR.join(video.labels)])
    return text.getvalue()


def ground_truth(videos: Sequence[AnnotatedVideo]) -> dict[str, Any]:
    """The intervals as ActivityNet-style ground truth, without subsets."""
    database: dict[str, Any] = {}
    for video in videos:
        entry: dict[str, Any] = {}
        if video.duration is not None:
            entry["duration"] = round(video.duration, SECOND_DECIMALS)
        entry["annotations"] = [
            {
                "label": one.label,
                "segment": [round(one.start, SECOND_DECIMALS), round(one.end, SECOND_DECIMALS)],
            }
            for one in video.intervals
        ]
        database[video.video] = entry
    return {"database": database}
