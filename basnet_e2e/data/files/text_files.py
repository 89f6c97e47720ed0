"""Read text and JSON files; a damaged one is an error of one line."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from basnet_e2e.errors import BasnetError
from weights import json_documents
from weights.json_documents import JsonError

T = TypeVar("T")


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a UTF-8 file, a byte order mark removed and line ends kept as they are.

    Raises:
        BasnetError: the file is missing, is a folder, is not UTF-8 or holds a NUL.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BasnetError(f"{path}: not a UTF-8 text file; save it as UTF-8") from error
    except OSError as error:
        raise BasnetError(f"{path}: cannot be read ({error.strerror})") from error
    if "\0" in text:
        raise BasnetError(f"{path}: not a text file, it holds a NUL byte")
    return text


def parse_json(path: str | os.PathLike[str], text: str | None = None) -> Any:
    """The value of a JSON file, or of the text already read from it, of any shape.

    Raises:
        BasnetError: the file is missing, or not JSON within the bounds of
            :func:`weights.json_documents.parse_json`.
    """
    try:
        return json_documents.parse_json(read_text(path) if text is None else text)
    except JsonError as error:
        raise BasnetError(f"{path}: {error}") from error


def json_text(document: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON as every document is written: indented by one space, all scripts, one line end."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: str | os.PathLike[str], kind: type[T]) -> T:
    """The value of a JSON file as a type.

    Raises:
        BasnetError: as :func:`parse_json`, or the value is of another type.
    """
    return convert(path, parse_json(path), kind)


def convert(path: str | os.PathLike[str], value: Any, kind: type[T], at: str = "$") -> T:
    """A part of a JSON file as a type.

    Args:
        path: the file, for the message.
        value: the part, as :func:`parse_json` returned it.
        kind: any type that msgspec knows.
        at: where it is in the document.

    Raises:
        BasnetError: it is of another type; names the place.
    """
    try:
        return json_documents.convert(value, kind, at)
    except JsonError as error:
        raise BasnetError(f"{path}: {error}") from error
