"""Lists of the videos that failed, beside the features of the others.

A run over a share of the videos has a list of its own; whoever reads takes them together. Several
processes change them at once, so every change is one reading and writing under a lock.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from extract.features.output_folder import Place, place_of
from extract.machine.file_locks import listing
from extract.sources.find import printable
from extract.sources.urls import Url
from weights.json_documents import JsonError, Name, Text, decode_json

log = logging.getLogger(__name__)

FAILURES = "failures.json"
OF_A_SHARD = re.compile(r"failures-\d+-of-\d+\.json")


class FailedVideo(Struct, frozen=True):
    """A row of a list; those beside results name the video's file too."""

    video: Name
    error: Text = ""
    file: Text = ""


class _List(Struct):
    failed: list[FailedVideo]


def parse_failures(data: bytes) -> list[FailedVideo]:
    """The rows of a list.

    Raises:
        JsonError: it is damaged.
    """
    return decode_json(data, _List).failed


def failure_lists(folder: Path) -> list[Path]:
    """Files of a features folder that list failures."""
    return [folder / name for name in _lists(place_of(folder))]


def read_failures(folder: Path | Url) -> dict[str, str]:
    """Why each video failed, by id, from all lists of a features folder."""
    place = place_of(folder)
    return {key: value for name in _lists(place) for key, value in _read(place, name).items()}


def change_failures(
    folder: Path | Url,
    settled: Iterable[str] = (),
    failed: Mapping[str, str] | None = None,
    name: str = FAILURES,
) -> None:
    """Take videos out of all lists, and put failed ones into the list ``name``.

    Raises:
        OSError: the folder cannot be written.
    """
    place = place_of(folder)
    gone, added = set(settled), dict(failed or {})
    if not added and not (gone and _lists(place)):
        return
    with listing(place.local):
        for each in {*_lists(place), *([name] if added else [])}:
            before = _read(place, each)
            after = {key: text for key, text in before.items() if key not in gone | added.keys()}
            if each == name:
                after |= added
            if after != before:
                _write(place, each, after)


def _lists(place: Place) -> list[str]:
    """Names of the lists, that of whole runs first."""
    found = [name for name in place.lists() if name == FAILURES or OF_A_SHARD.fullmatch(name)]
    return sorted(found, key=lambda name: (name != FAILURES, name))


def _write(place: Place, name: str, failures: Mapping[str, str]) -> None:
    if not failures:
        place.remove(name)
        return
    rows = [{"video": key, "error": failures[key]} for key in sorted(failures)]
    text = json.dumps({"failed": rows}, indent=1, ensure_ascii=False) + "\n"
    place.write(name, printable(text).encode())


def _read(place: Place, name: str) -> dict[str, str]:
    try:
        return {row.video: row.error for row in parse_failures(place.read(name))}
    except FileNotFoundError:
        return {}
    except JsonError as error:
        log.warning("%s cannot be read and is replaced (%s)", name, error)
        return {}
