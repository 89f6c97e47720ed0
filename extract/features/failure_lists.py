"""Lists of the videos that failed, beside the features of the others.

Each shard of the videos has its own list; readers join all lists. Every change reads and writes
under a lock.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from extract.errors import ExtractError
from extract.features.output_folder import OutputFolder
from extract.machine.file_locks import FAILURE_LISTS, lock
from extract.sources import storage
from extract.sources.find import printable
from extract.sources.urls import Url
from weights.json_documents import JsonError, Name, Text, decode_json

log = logging.getLogger(__name__)

FAILURES = "failures.json"
OF_A_SHARD = re.compile(r"failures-\d+-of-\d+\.json")


class FailedVideo(Struct, frozen=True):
    """A row of a list; beside results it names the video's file too."""

    video: Name
    error: Text = ""
    file: Text = ""


class _List(Struct):
    failed: list[FailedVideo]


def read_failures(
    folder: Path | Url, read: Callable[[Path | Url], list[FailedVideo]] | None = None
) -> dict[str, str]:
    """Why each video failed, by id, from all lists of a features folder.

    Args:
        folder: the features folder.
        read: `read_list` (default), which raises an ``ExtractError`` for a damaged list, or
            `read_replaceable`.
    """
    rows = [row for file in failure_lists(folder) for row in (read or read_list)(file)]
    return {row.video: row.error for row in rows}


def failure_lists(folder: Path | Url) -> list[Path | Url]:
    """The lists of a features folder, that of unsharded runs first."""
    found = storage.names_in(folder, "failures*.json")
    lists = [name for name in found if name == FAILURES or OF_A_SHARD.fullmatch(name)]
    return [folder / name for name in sorted(lists, key=lambda name: (name != FAILURES, name))]


def read_list(file: Path | Url) -> list[FailedVideo]:
    """The rows of a list, which may be missing; an ``ExtractError`` if it is damaged."""
    try:
        return decode_json(storage.read(file), _List).failed
    except FileNotFoundError:
        return []
    except JsonError as error:
        raise ExtractError(f"{file}: {error}; delete it") from error


def read_replaceable(file: Path | Url) -> list[FailedVideo]:
    """The rows of a list that will be rewritten: a damaged one counts as empty, with a warning."""
    try:
        return read_list(file)
    except ExtractError as error:
        log.warning("%s, or it is replaced", error)
        return []


def change_failures(
    output: OutputFolder,
    settled: Iterable[str] = (),
    failed: Mapping[str, str] | None = None,
    name: str = FAILURES,
) -> None:
    """Remove settled videos from all lists, and add failed ones to the list ``name``."""
    gone, added = set(settled), dict(failed or {})
    if not added and not (gone and failure_lists(output.folder)):
        return
    with lock(output.local, FAILURE_LISTS):
        own = output.folder / name
        for file in {*failure_lists(output.folder), *([own] if added else [])}:
            before = {row.video: row.error for row in read_replaceable(file)}
            after = {key: text for key, text in before.items() if key not in gone | added.keys()}
            if file == own:
                after |= added
            if after != before:
                _write(file, after)


def _write(file: Path | Url, failures: Mapping[str, str]) -> None:
    if not failures:
        storage.remove(file)
        return
    rows = [{"video": key, "error": failures[key]} for key in sorted(failures)]
    text = json.dumps({"failed": rows}, indent=1, ensure_ascii=False) + "\n"
    storage.write(file, printable(text).encode())
