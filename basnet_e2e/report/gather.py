"""What a report is made of: results, and the evidence, ground truth and video of each."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import isfile
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.data.annotations.result_files import listed_failures, result_files
from basnet_e2e.data.annotations.video_names import listing, match_ids
from basnet_e2e.data.files.file_kinds import is_activitynet, is_own_result
from basnet_e2e.data.files.text_files import parse_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure
from basnet_e2e.report.evidence import Evidence, find_evidence
from basnet_e2e.report.pages.page import Report
from basnet_e2e.report.thumbnails import take_thumbnails
from extract.errors import ExtractError
from extract.sources.find import VIDEO_SUFFIXES, files_by_id

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The result of one video as its file has it.

    Attributes:
        document: the JSON object.
        path: the file.
    """

    document: dict[str, Any]
    path: Path

    @property
    def id(self) -> str:
        """Id of the video."""
        return str(self.document["video"])


def find_results(
    paths: Sequence[Path], *, may_be_empty: bool = False
) -> tuple[list[Result], list[Failure]]:
    """All results in files and folders (searched in depth), and the failures they list.

    In a folder only files that hold a result of ``basnet localize`` count; a file that is named
    itself must be one.

    Args:
        paths: files and folders.
        may_be_empty: accept files without any video.

    Raises:
        BasnetError: a file is damaged or not a result, or a folder holds none.
    """
    results: list[Result] = []
    failed: list[Failure] = []
    for given in paths:
        for path in result_files(given, is_own_result):
            found, failures = _results_of(path)
            results += found
            failed += failures
        failed += listed_failures(given)
    if not results and not may_be_empty:
        raise BasnetError(f"{listing(list(map(str, paths)))}: no video has a result here")
    return results, failed


def _results_of(path: Path) -> tuple[list[Result], list[Failure]]:
    document = parse_json(path)
    if is_activitynet(document):
        raise BasnetError(
            f"{path}: ActivityNet's format does not hold the duration of a video, which a page "
            "needs; write the result with --format json"
        )
    localized, failed = read_results(path, document)
    entries = document.get("videos", [document])
    results = []
    for entry, checked in zip(entries, localized, strict=True):
        if not checked.duration > 0:
            raise BasnetError(f"{path}: the duration of video '{checked.video}' is not above zero")
        # Our reading of the entry over it: numbers that were text are numbers, nothing is lost.
        plain = checked.to_json() | {"intervals": _intervals(entry, checked.duration)}
        results.append(Result({**entry, **plain}, path))
    return results, failed


def _intervals(entry: dict[str, Any], duration: float) -> list[dict[str, Any]]:
    """Intervals of an entry, unknown fields included, clipped to the video."""
    kept = []
    for item in entry["intervals"]:
        start, end = (min(max(float(item[name]), 0.0), duration) for name in ("start", "end"))
        if end > start:
            times = {"start": round(start, 3), "end": round(end, 3)}
            kept.append(
                {**item, **times, "label": str(item["label"]), "score": float(item["score"])}
            )
    return sorted(kept, key=lambda each: -each["score"])


class Gatherer:
    """Finds what belongs to a result.

    Args:
        videos: folder of the videos; default: they are looked for beside the results.
        truth: annotated intervals.
        known: videos whose file is known, by id.

    Raises:
        ExtractError: the folder does not exist or holds no video.
    """

    def __init__(
        self,
        videos: Path | None = None,
        truth: GroundTruth | None = None,
        known: Mapping[str, Path] | None = None,
    ) -> None:
        self._known = dict(known or {})
        if videos is not None and not videos.is_dir():
            raise BasnetError(f"{videos}: no such folder; --videos names the folder of the videos")
        self._folder = videos
        self._videos = files_by_id([videos]) if videos else {}
        self._truth = truth

    @property
    def videos(self) -> list[Path]:
        """Files of the folder of videos."""
        return list(self._videos.values())

    def report(self, result: Result) -> Report:
        """What a page shows of a result.

        Raises:
            BasnetError: the evidence beside the result is damaged, or a name is ambiguous.
        """
        video = self._video(result)
        duration = float(result.document["duration"])
        evidence = find_evidence(result.path, result.id) or Evidence.none(result.id, duration)
        if video is not None and not evidence.thumbnails:
            evidence = with_thumbnails(evidence, video)
        return Report(result.document, evidence, self._truth_of(result.id), video)

    def _video(self, result: Result) -> Path | None:
        if result.id in self._known:
            return self._known[result.id]
        if self._folder is not None:
            names = [result.id, str(result.document.get("file", ""))]
            found = match_ids([name for name in names if name], self._videos).found
            ids = [found[name] for name in names if name in found]
            return self._videos[ids[0]] if ids else None
        return video_beside(result.document, result.path.parent)

    def _truth_of(self, video: str) -> Any:
        if self._truth is None:
            return None
        named = match_ids(self._truth.videos, [video]).found
        return [found for name in named for found in self._truth.videos[name]] if named else None


def video_beside(document: Mapping[str, Any], folder: Path) -> Path | None:
    """Find the video of a result in a folder, by its file name and then by its id."""
    video, file = str(document["video"]), str(document.get("file", ""))
    name = Path(file.replace("\\", "/")).name
    parent = Path(video).parent
    # An id comes out of a file: it must not lead out of the result's folder.
    inside = not parent.is_absolute() and ".." not in parent.parts
    folders = [folder / parent, folder] if inside else [folder]
    if Path(name).suffix.lower() in VIDEO_SUFFIXES:
        for each in folders:
            if isfile(each / name):
                return each / name
    stem = Path(video).name
    for each in folders:
        for suffix in sorted(VIDEO_SUFFIXES):
            if isfile(each / f"{stem}{suffix}"):
                return each / f"{stem}{suffix}"
    return None


def with_thumbnails(evidence: Evidence, video: Path) -> Evidence:
    """The evidence with pictures of the video; a video that cannot be decoded gives none."""
    try:
        return replace(evidence, thumbnails=take_thumbnails(video))
    except ExtractError as error:
        log.warning("%s; its page has no frames", error)
        return evidence
