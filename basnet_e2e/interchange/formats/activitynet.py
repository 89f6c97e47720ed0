"""Intervals in the detection format of the ActivityNet toolkit."""

from collections.abc import Sequence
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.data.files.file_kinds import is_activitynet
from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints
from basnet_e2e.interchange.media import Media
from basnet_e2e.intervals import Localization, written_intervals


def write(results: Sequence[Localization], media: Media) -> str:
    """One document ``{"version", "results": {video: [...]}, "external_data"}``."""
    return json_text(to_activitynet(results))


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


def is_own(file: AnnotationFile) -> bool:
    """Whether a file holds detections."""
    return is_activitynet(file.document)


def read(file: AnnotationFile, hints: Hints) -> list[AnnotatedVideo]:
    """The videos of detections, which state no duration.

    Raises:
        BasnetError: detections were not asked for, or one is damaged.
    """
    if not hints.predictions:
        raise BasnetError(
            f"{file.path}: a model's own detections teach it nothing; correct them in the page of "
            "'basnet report' and save it"
        )
    results, _ = read_results(file.path)
    return [AnnotatedVideo.of(result.video, result.intervals) for result in results]
