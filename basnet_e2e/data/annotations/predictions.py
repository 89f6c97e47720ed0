"""Read back what localization wrote: our result documents and ActivityNet-style detections."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import Struct

from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.data.files.file_kinds import is_activitynet
from basnet_e2e.data.files.text_files import convert, parse_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import TRAINED, Failure, Interval, Localization
from weights.json_documents import Duration, Name, Number, Seconds, Text


@dataclass(frozen=True)
class Predictions:
    """Detections of many videos.

    Attributes:
        videos: video -> intervals in file order.
        scores: video -> video-level score of each class, where the file states them.
        failed: videos the file lists as failed.
        thinned: videos of which only the best intervals were kept (``--keep best``).
        trained: videos whose intervals or points the model was trained on.
        source: the file, for messages.
    """

    videos: dict[str, list[Interval]]
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    thinned: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    source: str = "predictions"

    @classmethod
    def of(cls, results: Sequence[Localization]) -> "Predictions":
        """The same from results in memory.

        Raises:
            BasnetError: two results have one video id.
        """
        videos: dict[str, list[Interval]] = {}
        scores: dict[str, dict[str, float]] = {}
        for result in results:
            if result.video in videos:
                raise BasnetError(f"two results are called '{result.video}'")
            videos[result.video] = labels_in_nfc(result.intervals)
            if result.classes:
                scores[result.video] = {nfc(name): each for name, each in result.classes.items()}
        thinned = tuple(result.video for result in results if result.made.get("keep") == "best")
        trained = tuple(result.video for result in results if result.made.get(TRAINED))
        return cls(videos, scores, thinned=thinned, trained=trained)


def labels_in_nfc(intervals: Iterable[Interval]) -> list[Interval]:
    """The same intervals, labels in the Unicode form in which names are compared."""
    return [
        found if (label := nfc(found.label)) == found.label else replace(found, label=label)
        for found in intervals
    ]


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read detections of either format, to compare them with ground truth.

    Raises:
        BasnetError: the file is missing, is neither format, or holds a damaged interval.
    """
    localizations, failed = read_results(path)
    found = Predictions.of(localizations)
    return replace(found, failed=tuple(entry.video for entry in failed), source=str(path))


def read_results(
    path: str | os.PathLike[str], document: Any = None
) -> tuple[list[Localization], list[Failure]]:
    """Read results and failures, of either format.

    ActivityNet-style detections state no duration; the end of the last interval replaces it.

    Args:
        path: the file.
        document: its value, where the caller has parsed it.

    Raises:
        BasnetError: the file is missing, is neither format, or holds a damaged interval.
    """
    document = parse_json(path) if document is None else document
    if is_activitynet(document):
        return _detections(path, document), []
    if isinstance(document, dict) and "videos" in document:
        found = convert(path, document, _Results)
        return [entry.localization() for entry in found.videos], found.failed
    if isinstance(document, dict) and "intervals" in document:
        return [convert(path, document, _Result).localization()], []
    raise BasnetError(
        f"{path}: no detections in this file; expected a result of 'basnet localize' or "
        "ActivityNet-style 'results'"
    )


class _Found(Struct, frozen=True):
    label: Name
    start: Seconds
    end: Seconds
    score: Number


class _Result(Struct, frozen=True):
    video: Name
    duration: Duration
    intervals: list[_Found]
    file: Text = ""
    model: Text = ""
    classes: dict[Name, Number] = {}
    made: dict[str, Any] = {}

    def localization(self) -> Localization:
        intervals = [Interval(one.label, one.start, one.end, one.score) for one in self.intervals]
        return Localization(
            self.video, self.file, self.duration, self.model, self.classes, intervals, self.made
        )


class _Results(Struct, frozen=True):
    videos: list[_Result]
    failed: list[Failure] = []
    left: list[Name] = []


class _Detection(Struct, frozen=True):
    label: Name
    score: Number
    segment: tuple[Seconds, Seconds]


def _detections(path: str | os.PathLike[str], document: Mapping[str, Any]) -> list[Localization]:
    external = document.get("external_data")
    stated = external.get("made", {}) if isinstance(external, dict) else {}
    made = convert(path, stated, dict[str, dict[str, Any]], "$.external_data.made")
    found = []
    for video, items in document["results"].items():
        name = convert(path, video, Name, "$.results")
        rows = convert(path, items, list[_Detection], f"$.results['{video}']")
        intervals = [Interval(row.label, *row.segment, row.score) for row in rows]
        duration = max([0.0, *(interval.end for interval in intervals)])
        found.append(
            Localization(name, "", duration, "", intervals=intervals, made=made.get(video, {}))
        )
    return found
