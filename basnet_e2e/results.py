"""What localization gives: scored intervals of a video, and the documents they are written in."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from basnet_e2e.errors import BasnetError

SECOND_DECIMALS = 3
SCORE_DECIMALS = 6
FORMATS = ("json", "activitynet", "csv", "srt")


@dataclass(frozen=True)
class Interval:
    """An action in time.

    Attributes:
        label: class name.
        start: seconds of the original file.
        end: seconds of the original file.
        score: rank among detections, higher is surer; 1 for annotated intervals.
    """

    label: str
    start: float
    end: float
    score: float = 1.0

    @property
    def length(self) -> float:
        """Length in seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Localization:
    """Intervals found in one video.

    Attributes:
        video: id of the video.
        file: name of the video or feature file that was read.
        duration: seconds.
        model: name of the model that was applied.
        classes: video-level score of each class.
        intervals: highest score first.
        made: what tells this result from another of the same video: how intervals were kept
            (``keep``, ``min_score``, ``min_length``), digests of input and model. Empty where
            nothing is known of it.
    """

    video: str
    file: str
    duration: float
    model: str
    classes: dict[str, float] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON object: seconds with 3 decimals within [0, duration], highest score first.

        An interval that is shorter than the written precision is left out.
        """
        return {
            "video": self.video,
            "file": self.file,
            "duration": round(float(self.duration), SECOND_DECIMALS),
            "model": self.model,
            "classes": {
                name: round(float(score), SCORE_DECIMALS) for name, score in self.classes.items()
            },
            "intervals": [
                {
                    "label": found.label,
                    "start": found.start,
                    "end": found.end,
                    "score": found.score,
                }
                for found in written_intervals(self.intervals, self.duration)
            ],
            **({"made": self.made} if self.made else {}),
        }


@dataclass(frozen=True)
class Failure:
    """A video that gave no result, and why."""

    video: str
    file: str
    error: str

    def to_json(self) -> dict[str, str]:
        """One JSON object."""
        return {"video": self.video, "file": self.file, "error": self.error}


def written_intervals(intervals: Sequence[Interval], duration: float) -> list[Interval]:
    """Intervals as every output states them.

    Start and end are rounded to 3 decimals and held within [0, duration]; what is empty after that
    is dropped. Order: score descending, then input order.
    """
    limit = round(float(duration), SECOND_DECIMALS)
    rounded = []
    for found in intervals:
        start = min(max(round(float(found.start), SECOND_DECIMALS), 0.0), limit)
        end = min(max(round(float(found.end), SECOND_DECIMALS), 0.0), limit)
        if end > start:
            score = round(float(found.score), SCORE_DECIMALS)
            rounded.append(Interval(found.label, start, end, score))
    return sorted(rounded, key=lambda found: -found.score)


def keep_best(
    intervals: Sequence[Interval], min_score: float | None = None, min_length: float = 0.0
) -> list[Interval]:
    """The intervals a person wants to see: no two of one class overlap.

    Greedy by score (input order on ties): an interval is kept unless it overlaps one of its class
    that was kept before it. Intervals below ``min_score``, shorter than ``min_length`` seconds or
    empty are left out first, so that they hide nothing. Touching intervals do not overlap.

    Returns:
        The kept intervals, highest score first.
    """
    kept: list[Interval] = []
    for found in sorted(intervals, key=lambda found: -found.score):
        too_weak = min_score is not None and found.score < min_score
        if too_weak or found.length < min_length or found.length <= 0:
            continue
        hidden = any(
            other.label == found.label and found.start < other.end and other.start < found.end
            for other in kept
        )
        if not hidden:
            kept.append(found)
    return kept


def format_results(
    results: Sequence[Localization],
    failed: Sequence[Failure] = (),
    format: str = "json",
    *,
    many: bool | None = None,
) -> str:
    """One document with the intervals of all videos, ending in a line end.

    Args:
        results: one entry for each video that was localized.
        failed: videos that gave no result; only the format ``json`` can hold them.
        format: ``json`` (an object for one video, else ``{"videos", "failed"}``), ``activitynet``
            (the toolkit's detection format), ``csv``, or ``srt`` (subtitles, one video only).
        many: write the ``videos`` document even for one video; by default it is written unless
            there is exactly one result and no failure.

    Raises:
        BasnetError: the format is unknown, or is ``srt`` and there are several videos.
    """
    if format == "json":
        return _json_text(_json_document(results, failed, many))
    if format == "activitynet":
        return _json_text(to_activitynet(results))
    if format == "csv":
        return _csv_text(results)
    if format == "srt":
        return _srt_text(results)
    raise BasnetError(f"no result format {format!r}; choose one of {', '.join(FORMATS)}")


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


def to_activitynet(results: Sequence[Localization]) -> dict[str, Any]:
    """Detections as the ActivityNet toolkit reads them; how they were made is external data."""
    made = {result.video: result.made for result in results if result.made}
    return {
        "version": "VERSION 1.3",
        "results": {
            result.video: [
                {"label": found.label, "score": found.score, "segment": [found.start, found.end]}
                for found in written_intervals(result.intervals, result.duration)
            ]
            for result in results
        },
        "external_data": {"made": made} if made else {},
    }


def _json_document(
    results: Sequence[Localization], failed: Sequence[Failure], many: bool | None
) -> dict[str, Any]:
    if many is None:
        many = len(results) != 1 or bool(failed)
    if not many:
        if len(results) != 1 or failed:
            raise BasnetError("a document of one video needs exactly one result and no failure")
        return results[0].to_json()
    return {
        "videos": [result.to_json() for result in results],
        "failed": [failure.to_json() for failure in failed],
    }


def _json_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv_text(results: Sequence[Localization]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "label", "start", "end", "score"])
    for result in results:
        for found in written_intervals(result.intervals, result.duration):
            times = f"{found.start:.3f}", f"{found.end:.3f}"
            rows.writerow([result.video, found.label, *times, f"{found.score:.6f}"])
    return text.getvalue()


def _srt_text(results: Sequence[Localization]) -> str:
    if len(results) != 1:
        raise BasnetError(f"subtitles (srt) belong to one video, here are {len(results)}")
    found = written_intervals(results[0].intervals, results[0].duration)
    cues = [
        f"{number}\n{_srt_time(cue.start)} --> {_srt_time(cue.end)}\n{cue.label} {cue.score:.2f}\n"
        for number, cue in enumerate(sorted(found, key=lambda cue: (cue.start, cue.end)), start=1)
    ]
    return "\n".join(cues)


def _srt_time(seconds: float) -> str:
    """Seconds as ``HH:MM:SS,mmm``."""
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"
