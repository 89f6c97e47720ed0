"""Our own result: what `basnet localize` prints, and what a person corrected in its page."""

from collections.abc import Sequence
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints
from basnet_e2e.intervals import Failure, Localization, written_intervals


def result_document(
    results: Sequence[Localization], failed: Sequence[Failure], many: bool | None
) -> dict[str, Any]:
    """A bare object for one video, else ``{"videos", "failed"}``.

    Args:
        results: one entry for each video that was localized.
        failed: videos that gave no result.
        many: write the list even for one video. Default: unless there is exactly one result and no
            failure.

    Raises:
        BasnetError: one video was asked for and there are none or several.
    """
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


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a result of one video or of several."""
    return file.has("intervals") or file.has("videos")


def read(file: AnnotationFile, hints: Hints) -> list[AnnotatedVideo]:
    """The corrected videos of a result; others in the same document are refused, unless asked for.

    Raises:
        BasnetError: a result is damaged, or nobody corrected it.
    """
    path, document = file.path, file.document
    results, _ = read_results(path)
    entries = document.get("videos", [document])
    whole = document.get("corrected") is True
    for entry in entries:
        if not (hints.predictions or whole or entry.get("corrected") is True):
            raise BasnetError(
                f"{path}: nobody corrected the result of '{entry['video']}', and a model's own "
                "detections teach it nothing; save it from the page ('corrected': true)"
            )
    return [
        AnnotatedVideo.of(
            result.video,
            written_intervals(result.intervals, result.duration),
            duration=result.duration,
        )
        for result in results
    ]
