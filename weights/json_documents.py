"""JSON that a person or another program wrote, decoded into types within bounds.

Two steps: :func:`parse_json` reads the text and refuses what no document of ours needs (a repeated
key, NaN, a number beyond 64 bits, deep nesting, half a surrogate pair, NUL); :func:`convert` checks
the value against a type, usually a :class:`msgspec.Struct` defined beside what it describes.
Neither knows files: callers put the file's name before the message of :class:`JsonError`.
"""

import json
import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")
NESTING = 100
LARGEST = 1e12

Text = Annotated[str, Meta(max_length=100_000)]
Name = Annotated[str, Meta(min_length=1, max_length=4096)]
"""The name of a video, file or class."""
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
Duration = Annotated[float, Meta(ge=0, le=1e9)]
"""Seconds, as are those of :data:`Seconds`."""
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_TYPE = re.compile(r"(Expected|got) `([^`]*)`")
_WORDS = {
    **{"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"},
    **{"array": "a list", "object": "an object", "null": "nothing"},
}
_LONGEST_INTEGER = 20  # characters of the least 64-bit integer, its sign included


class JsonError(ValueError):
    """A text is not JSON within the bounds, or its value not of the type; says what and where."""


def decode_json(data: bytes | str, kind: type[T]) -> T:
    """:func:`parse_json` and :func:`convert` in one step.

    Raises:
        JsonError: as they do.
    """
    return convert(parse_json(data), kind)


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text in UTF-8; a byte order mark at its start is skipped.

    Raises:
        JsonError: it is not JSON, or holds a repeated key, NaN or infinity, an integer beyond 64
            bits, NUL, half a
            surrogate pair, or lists and objects nested deeper than 100.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        text = text.removeprefix("\ufeff")
        document = json.loads(
            text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_refuse
        )
        msgspec.json.decode(text)  # refuses what the standard library lets pass
    except RecursionError as error:
        raise JsonError(_TOO_DEEP) from error
    except msgspec.ValidationError as error:
        raise JsonError(_placed(error, "$")) from error
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise JsonError("not valid JSON (a lone surrogate, half a character)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise JsonError(f"not valid JSON ({error})") from error
    if _NUL.search(text):
        raise JsonError("it holds a NUL character (\\u0000)")
    _check_nesting(document)
    return document


def convert(value: Any, kind: type[T], at: str = "$", *, strict: bool = False) -> T:
    """A parsed JSON value as a type.

    Args:
        value: what :func:`parse_json` returned, or a part of it.
        kind: any type that msgspec knows.
        at: where the value is in its document, for the message.
        strict: refuse numbers written as strings, as some tools write them.

    Raises:
        JsonError: says what is wrong and where, such as ``$.videos[0].intervals[1].label``.

    >>> convert({"size": [1, "2"]}, dict[str, list[int]])
    {'size': [1, 2]}
    >>> convert({"a": "b"}, dict[str, Seconds], at="$.facts")
    Traceback (most recent call last):
    weights.json_documents.JsonError: expected a number, got text at $.facts[...]
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise JsonError(_placed(error, at)) from error


def _placed(error: msgspec.ValidationError, at: str) -> str:
    text, _, place = str(error).partition(" - at ")
    inside = place.strip("`").removeprefix("$") if place.startswith("`$") else f" {place}"
    plain = _TYPE.sub(lambda found: f"{found[1]} {_in_words(found[2])}", text)
    return f"{plain[:1].lower()}{plain[1:]} at {at}{inside}".rstrip()


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types.split(" | "))


_TOO_DEEP = f"its lists and objects are nested deeper than {NESTING}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise JsonError(f"duplicate key '{next(n for n in names if names.count(n) > 1)}'")
    return found


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER or not -(1 << 63) <= (found := int(text)) < 1 << 64:
        raise JsonError(f"the integer {text[:8]}... of {len(text)} digits is too large")
    return found


def _check_nesting(document: Any) -> None:
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(NESTING + 1):
        if not level:
            return
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
    raise JsonError(_TOO_DEEP)


def _refuse(constant: str) -> Any:
    raise JsonError(f"{constant} is not a number that JSON knows")
