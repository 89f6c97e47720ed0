"""Results of many videos: the files in a folder, as `basnet localize -o FOLDER/` writes it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.data.files.file_kinds import is_result
from basnet_e2e.data.files.text_files import parse_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure, Localization
from extract.features.failure_lists import FAILURES, read_list
from extract.sources.storage import names_below


def result_files(given: Path, is_wanted: Callable[[Any], bool] = is_result) -> list[Path]:
    """The file itself, or the results in a folder, searched in depth.

    Args:
        given: file or folder.
        is_wanted: tells a result from other JSON documents in a folder.

    Raises:
        BasnetError: a JSON file of the folder is damaged, or it holds no result.
    """
    if not given.is_dir():
        return [given]
    paths = [given / name for name in names_below(given) if name.endswith(".json")]
    found = [path for path in paths if is_wanted(parse_json(path))]
    if not found:
        raise BasnetError(f"{given}: no result of 'basnet localize' in this folder")
    return found


def listed_failures(folder: Path) -> list[Failure]:
    """Failures that a run over many videos listed beside its results; none for a file."""
    rows = read_list(folder / FAILURES) if folder.is_dir() else []
    return [Failure(row.video, row.file, row.error) for row in rows]


def read_all_results(paths: Iterable[Path]) -> tuple[list[Localization], list[Failure]]:
    """Results of all files and folders, and the failures that they list.

    Raises:
        BasnetError: a file is damaged or not a result, a folder holds none, or two results are
            about one video.
    """
    found: dict[str, Localization] = {}
    failed: list[Failure] = []
    for given in paths:
        for path in result_files(given):
            results, failures = read_results(path)
            failed += failures
            for result in results:
                if result.video in found:
                    raise BasnetError(f"{path}: the video '{result.video}' is in two results")
                found[result.video] = result
        failed += listed_failures(given)
    return list(found.values()), failed
