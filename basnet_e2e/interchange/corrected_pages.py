"""Our own result after a person corrected it in the page of `basnet report`."""

from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help
from basnet_e2e.intervals import written_intervals


def read(path: Path, document: Any, help: Help) -> list[AnnotatedVideo]:
    """The corrected videos of a result; others in the same document are refused.

    Raises:
        BasnetError: a result is damaged, or nobody corrected it.
    """
    results, _ = read_results(path)
    entries = document.get("videos", [document])
    whole = document.get("corrected") is True
    for entry in entries:
        if not whole and entry.get("corrected") is not True:
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
