"""Our own result document, which `basnet localize` prints and every command reads back."""

from collections.abc import Sequence
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure, Localization


def result_document(
    results: Sequence[Localization], failed: Sequence[Failure], many: bool | None
) -> dict[str, Any]:
    """A bare object for one video, else ``{"videos", "failed"}``.

    Args:
        results: one entry for each video that was localized.
        failed: videos that gave no result.
        many: write the list even for one video; without it, it is written unless there is exactly
            one result and no failure.

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
