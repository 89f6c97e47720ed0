"""Read text and JSON files, so that a damaged one is answered with one line."""

import json
import os
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a UTF-8 file, a byte order mark removed and line ends kept as they are.

    Raises:
        BasnetError: the file is missing, is a folder or is not UTF-8.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BasnetError(f"{path}: not a UTF-8 text file; save it as UTF-8") from error
    except OSError as error:
        raise BasnetError(f"{path}: cannot be read ({error.strerror})") from error


def parse_json(path: str | os.PathLike[str]) -> Any:
    """Parse a UTF-8 JSON file, a repeated key being an error.

    Raises:
        BasnetError: the file is missing or is not JSON.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=_without_repetition)
    except (json.JSONDecodeError, _RepeatedKeyError) as error:
        raise BasnetError(f"{path}: not valid JSON ({error})") from error


class _RepeatedKeyError(ValueError):
    pass


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(f"'{twice}' stands there twice in one object")
    return found
