"""Read back what localization wrote: our result documents and ActivityNet-style detections."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from basnet_e2e.data.annotations.video_names import nfc
from basnet_e2e.data.files.text_files import parse_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import TRAINED, Failure, Interval, Localization


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


def read_results(path: str | os.PathLike[str]) -> tuple[list[Localization], list[Failure]]:
    """Read results and failures, of either format.

    ActivityNet-style detections state no duration; the end of the last interval stands for it.

    Raises:
        BasnetError: the file is missing, is neither format, or holds a damaged interval.
    """
    document = parse_json(path)
    if is_activitynet(document):
        return _detections(path, document), []
    return _localizations(path, document)


def is_activitynet(document: Any) -> bool:
    """Whether a JSON document holds ActivityNet-style detections."""
    return isinstance(document, dict) and isinstance(document.get("results"), dict)


def _detections(path: str | os.PathLike[str], document: Mapping[str, Any]) -> list[Localization]:
    external = document.get("external_data")
    made = external.get("made") if isinstance(external, dict) else None
    found = []
    for video, items in document["results"].items():
        if not isinstance(items, list):
            raise BasnetError(f"{path}: the detections of video '{video}' are not a list")
        intervals = [_interval(path, video, item, lambda item: item["segment"]) for item in items]
        duration = max([0.0, *(interval.end for interval in intervals)])
        how = made.get(video) if isinstance(made, dict) else None
        how = how if isinstance(how, dict) else {}
        found.append(Localization(video, "", duration, "", intervals=intervals, made=how))
    return found


def _localizations(
    path: str | os.PathLike[str], document: Any
) -> tuple[list[Localization], list[Failure]]:
    if isinstance(document, dict) and isinstance(document.get("videos"), list):
        entries, failures = document["videos"], document.get("failed", [])
    elif isinstance(document, dict) and "intervals" in document:
        entries, failures = [document], []
    else:
        raise BasnetError(
            f"{path}: no detections in this file; expected a result of 'basnet localize' or "
            "ActivityNet-style 'results'"
        )
    try:
        failed = [Failure(row["video"], row.get("file", ""), row["error"]) for row in failures]
        return [_localization(path, entry) for entry in entries], failed
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BasnetError(
            f"{path}: damaged, an entry has no or a wrong field ({type(error).__name__}: {error})"
        ) from error


def _localization(path: str | os.PathLike[str], entry: Mapping[str, Any]) -> Localization:
    video = entry["video"]
    return Localization(
        video=video,
        file=str(entry.get("file", "")),
        duration=float(entry["duration"]),
        model=str(entry.get("model", "")),
        classes={str(name): float(score) for name, score in entry.get("classes", {}).items()},
        intervals=[
            _interval(path, video, item, lambda item: (item["start"], item["end"]))
            for item in entry["intervals"]
        ],
        made=dict(entry.get("made", {})),
    )


def _interval(path: str | os.PathLike[str], video: str, item: Any, times: Any) -> Interval:
    try:
        start, end = (float(second) for second in times(item))
        found = Interval(item["label"], start, end, float(item["score"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BasnetError(
            f"{path}: a detection of video '{video}' lacks a label, a score or its times in seconds"
        ) from error
    if not all(map(math.isfinite, (start, end, found.score))):
        raise BasnetError(f"{path}: a detection of video '{video}' is not finite")
    return found
