"""What writers start from: intervals in the order of time, names as plain text of one line."""

import unicodedata
from collections.abc import Sequence
from fractions import Fraction

from basnet_e2e.intervals import Interval, Localization, written_intervals

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@")
NOT_TEXT = ("Cc", "Cs", "Zl", "Zp")


def one_line(text: str) -> str:
    r"""The text without line ends, tabs and other control characters, each of which is a space.

    What XML cannot hold (lone surrogates, the non-characters at the end of the plane) goes too.

    >>> one_line("dive\n00:00:01,000 --> 00:00:02,000")
    'dive 00:00:01,000 --> 00:00:02,000'
    """
    return "".join(" " if _is_control(letter) else letter for letter in text).strip()


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in NOT_TEXT or ord(letter) & 0xFFFE == 0xFFFE


def csv_cell(text: str) -> str:
    """A cell that a spreadsheet shows and never computes: one that begins like a formula is quoted.

    >>> csv_cell("=1+1"), csv_cell("dive")
    ("'=1+1", 'dive')
    """
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def in_time(result: Localization) -> list[Interval]:
    """Intervals as every output states them, in the order of their time."""
    found = written_intervals(result.intervals, result.duration)
    return sorted(found, key=lambda one: (one.start, one.end))


def class_names(results: Sequence[Localization]) -> list[str]:
    """Classes that occur or that the models know, in order, each as one line."""
    names = (name for one in results for name in (*(f.label for f in in_time(one)), *one.classes))
    return list(dict.fromkeys(map(one_line, names)))


def by_class(result: Localization) -> dict[str, list[Interval]]:
    """Class, as one line -> its intervals in the order of time."""
    found: dict[str, list[Interval]] = {}
    for one in in_time(result):
        found.setdefault(one_line(one.label), []).append(one)
    return found


def frames_of(found: Interval, rate: Fraction, earliest: int = 0) -> tuple[int, int]:
    """First frame of an interval and the one after its last, at least one frame."""
    first = max(round(found.start * rate), earliest)
    return first, max(round(found.end * rate), first + 1)
