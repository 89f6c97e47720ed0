"""Documents of a kind, damaged in every way: values, names, bytes, headers of safetensors files."""

import json
import re
from typing import Any

from hypothesis import strategies as st

MARK = "\ue000"  # before text that stands in the document as it is, outside quotes
RAW = (
    *("NaN", "-Infinity", "1e400", "9" * 400, "-" + "9" * 19, "1" * 5000, "[" * 100_000),
    *('{"a":' * 50_000, '"\\ud800"', '"a\\u0000b"', '{"a":1,"a":2}', "[" * 90 + "]" * 90),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 7.5, 1e-320, 1e18, 1e308, -1e308, 10**12, 2**63, -(2**53)),
    *("", " ", "x", "nan", "inf", "12", "-3", "run", "../../x", "/x", "a/../b", ".", "..", "\n"),
    *("x" * 300, "x" * 5000, "é\u202e", "a\tb", "<b>&", "{}", "%s%n", "\\", "c:\\x", "1/0"),
    *([], {}, [[]], [None], {"a": None}, [1, 2], ["x", "x"], {"": {}}, [{}], [-1, 1e300]),
    *(MARK + raw for raw in RAW),
)


def places(document: Any) -> list[tuple[Any, ...]]:
    """The keys and indices that lead to each part of a document, itself included."""
    found: list[tuple[Any, ...]] = [()]
    inner = document.items() if isinstance(document, dict) else ()
    if isinstance(document, list):
        inner = enumerate(document)
    for key, part in inner:
        found += [(key, *rest) for rest in places(part)]
    return found


def changed(document: Any, place: tuple[Any, ...], change: Any, value: Any) -> Any:
    """A copy in which ``change`` was called with the container and the key of a part, and value."""
    whole = [json.loads(json.dumps(document))]
    node, key = whole, 0
    for step in place:
        node, key = node[key], step
    change(node, key, value)
    return whole[0] if whole else None


def _rename(node: Any, key: Any, value: Any) -> None:
    if isinstance(node, dict):
        node[value if isinstance(value, str) else "renamed"] = node.pop(key)
    else:
        node[key] = value


def _drop(node: Any, key: Any, value: Any) -> None:
    del node[key]


def _replace(node: Any, key: Any, value: Any) -> None:
    node[key] = value


def _repeat(node: Any, key: Any, value: Any) -> None:
    if isinstance(node, list):
        node.append(node[key])
    else:
        node["again"] = node[key]


def _wrap(node: Any, key: Any, value: Any) -> None:
    node[key] = [node[key]]


@st.composite
def json_texts(draw: st.DrawFn, document: Any) -> str:
    """The text of a JSON document with one to three parts changed."""
    for _ in range(draw(st.integers(1, 3))):
        known = places(document)
        place = draw(st.sampled_from(known))
        value = draw(st.sampled_from(VALUES))
        change = draw(
            st.sampled_from((_replace, _replace, _replace, _drop, _rename, _repeat, _wrap))
        )
        document = changed(document, place, change, value)
    return _text(document)


def _text(document: Any) -> str:
    text = json.dumps(document)
    for raw in RAW:
        text = text.replace(json.dumps(MARK + raw), raw)
    return text


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """A file that was cut off, has a byte changed, other bytes in it, or another encoding."""
    place = draw(st.integers(0, max(len(data) - 1, 0)))
    how = draw(st.sampled_from(("word", "word", "cut", "flip", "insert", "utf-16", "latin", "bom")))
    if how == "word":
        return _with_another_word(draw, data)
    if how == "cut":
        return data[:place]
    if how == "flip":
        return data[:place] + bytes([data[place] ^ draw(st.integers(1, 255))]) + data[place + 1 :]
    if how == "insert":
        part = draw(
            st.sampled_from((b"\0", b"\xff", b'"', b"\n", b",", b"9" * 400, b"x" * 200_000))
        )
        return data[:place] + part + data[place:]
    if how == "utf-16":
        return data.decode("utf-8", "replace").encode("utf-16")
    if how == "latin":
        return data + "é".encode("latin-1")
    return b"\xef\xbb\xbf" * 2 + data


def _with_another_word(draw: st.DrawFn, data: bytes) -> bytes:
    """A cell of a table, or a value or name of XML, that is another one."""
    words = list(re.finditer(rb"[^\s,;\"<>=/]+", data))
    value = draw(st.sampled_from([value for value in VALUES if isinstance(value, str)]))
    if not words:
        return data
    word = draw(st.sampled_from(words))
    return data[: word.start()] + value.removeprefix(MARK).encode() + data[word.end() :]


def files(document: Any) -> st.SearchStrategy[bytes]:
    """Bytes of a JSON file: its values changed, or its bytes."""
    whole = json.dumps(document).encode()
    return st.one_of(*[json_texts(document).map(str.encode)] * 3, damaged_bytes(whole))


@st.composite
def tensor_files(draw: st.DrawFn, whole: bytes) -> bytes:
    """A safetensors file with its metadata, its header or its bytes changed."""
    length = int.from_bytes(whole[:8], "little")
    header, body = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    how = draw(st.sampled_from(("metadata", "metadata", "metadata", "header", "bytes")))
    if how == "bytes":
        return draw(damaged_bytes(whole))
    if how == "header":
        text = draw(json_texts(header))
    else:
        meta = json.loads(header["__metadata__"]["basnet"])
        header["__metadata__"]["basnet"] = draw(json_texts(meta))
        text = json.dumps(header)
    data = text.encode()
    return len(data).to_bytes(8, "little") + data + body
