"""JSON of people and other programs: what is refused, and how the place is named."""

import contextlib
import doctest
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from weights import json_documents
from weights.json_documents import Count, JsonError, Name, Seconds, convert, decode_json, parse_json


class Span(Struct):
    label: Name
    start: Seconds
    end: Seconds


class Video(Struct):
    video: Name
    intervals: list[Span] = []
    frames: Count = 0


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner
        )
    ),
)


@given(JSON, st.booleans())
def test_what_json_can_say_is_read_as_the_standard_library_reads_it(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text) == value
    assert parse_json(b"\xef\xbb\xbf" + text.encode()) == value


@given(st.binary())
def test_any_bytes_are_json_or_a_json_error(data):
    with contextlib.suppress(JsonError):
        parse_json(data)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not valid JSON"),
        ('{"a": 1} x', "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        ("[NaN]", "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[1e400]", r"out of range at \$\[0\]"),
        ("9" * 400, "400 digits is too large"),
        ("18446744073709551616", "20 digits is too large"),
        ("9" * 5000, "5000 digits is too large"),
        (r'"\ud800"', "surrogate"),
        ('"\ud800"', "surrogate"),
        (r'"\\\u0000"', "NUL"),
        ("[" * 101 + "]" * 101, "deeper than 100"),
        ("[" * 100_000, "deeper than 100"),
        ('{"a":' * 100_000, "deeper than 100"),
        ('[{"a": 1, "b": 2, "a": 3}]', "duplicate key 'a'"),
    ],
)
def test_out_of_bounds(text, complaint):
    with pytest.raises(JsonError, match=complaint):
        parse_json(text)


def test_within_bounds():
    assert parse_json("18446744073709551615") == 2**64 - 1
    assert parse_json(r'"\\u0000"') == r"\u0000"
    assert parse_json("[" * 100 + "]" * 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"video": "a", "intervals": [{"label": 3, "start": 0, "end": 1}]}',
         "expected text, got a whole number at $.intervals[0].label"),
        ('{"video": "a", "intervals": [{"label": "x", "start": 0, "end": 1e10}]}',
         "expected a number <= 1000000000.0 at $.intervals[0].end"),
        ('{"video": "a", "intervals": [{"label": "x", "start": "nan", "end": 1}]}',
         "expected a number >= -1000000000.0 at $.intervals[0].start"),
        ('{"video": "a", "frames": -1}', "expected a whole number >= 0 at $.frames"),
        ('{"video": ""}', "expected text of length >= 1 at $.video"),
        ("{}", "object missing required field `video` at $"),
        ("[]", "expected an object, got a list at $"),
    ],
)  # fmt: skip
def test_the_place_of_a_wrong_value_is_named(text, message):
    with pytest.raises(JsonError) as refused:
        decode_json(text, Video)
    assert str(refused.value) == message


def test_a_number_may_be_written_as_a_string_and_the_rest_may_be_unknown():
    text = '{"video": "a", "more": [], "intervals": [{"label": "x", "start": "1.5", "end": 2}]}'
    assert decode_json(text, Video).intervals == [Span("x", 1.5, 2.0)]


def test_a_part_is_named_by_where_it_is():
    part: Any = {"label": "x", "start": 0}
    with pytest.raises(JsonError, match=r"`end` at \$\.database\['v'\]$"):
        convert(part, Span, at="$.database['v']")


def test_the_examples_hold():
    ran = doctest.testmod(json_documents)
    assert (ran.failed, ran.attempted) == (0, 2)
