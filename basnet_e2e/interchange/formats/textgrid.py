"""Intervals as a TextGrid of Praat (long text form): an interval tier per class, in seconds."""

import itertools
from collections.abc import Sequence

from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import by_class
from basnet_e2e.intervals import Interval, Localization


def write(result: Localization, media: Media) -> str:
    """The tiers of one video; what lies between its actions is an interval without text.

    A video without actions has one empty tier, for Praat opens none that has no tier.
    """
    tiers = by_class(result) or {"action": []}
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {result.duration:.3f}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, found_there) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", *_tier(name, found_there, result.duration)]
    return "\n".join(lines) + "\n"


def _tier(name: str, found: Sequence[Interval], duration: float) -> list[str]:
    """Lines of a tier, whose intervals lie end to end."""
    inside = {(one.start, one.end) for one in found}
    borders = sorted({0.0, round(duration, 3), *itertools.chain.from_iterable(inside)})
    lines = [
        '        class = "IntervalTier"',
        f"        name = {_quoted(name)}",
        "        xmin = 0",
        f"        xmax = {duration:.3f}",
        f"        intervals: size = {len(borders) - 1}",
    ]
    for number, (start, end) in enumerate(itertools.pairwise(borders), start=1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.3f}",
            f"            xmax = {end:.3f}",
            f"            text = {_quoted(name if (start, end) in inside else '')}",
        ]
    return lines


def _quoted(text: str) -> str:
    """Praat doubles a quotation mark within a text."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
