"""A result as a person wants to see it on a terminal: a lane per class over time, and a table."""

import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.terminal.tables import new_table
from basnet_e2e.display import clock
from basnet_e2e.interchange.output_text import one_line
from basnet_e2e.intervals import Interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

log = logging.getLogger(__name__)

STYLES = ("cyan", "magenta", "green", "yellow", "blue", "red")
# Fuller for higher scores; a terminal without these signs gets the plain ones.
SHADES, PLAIN_SHADES = "▒▓█", "-=#"
EMPTY, PLAIN_EMPTY = "·", "."
LONGEST_NAME = 28
TICK_EVERY = 14  # columns


def print_document(text: str, *, readable: bool = True) -> None:
    """Print results: JSON to a pipe or a file; on a terminal what a person looks at.

    Args:
        text: a document of ``basnet localize``.
        readable: whether it is one that :func:`show_document` reads.
    """
    if not (text and readable and sys.stdout.isatty()):
        click.echo(text, nl=False)
        return
    show_document(text)
    log.info("as JSON: add '-o result.json', or send the output to a file or a pipe")


def show_document(text: str, console: "Console | None" = None) -> None:
    """Print the results of one document of ``basnet localize``, one video after the other."""
    from rich.console import Console

    console = console or Console(markup=False, emoji=False, highlight=False)
    document = json.loads(text)
    for entry in document.get("videos", [document]):
        show_result(entry, console)
    for failure in document.get("failed", []):
        console.print(f"{failure['video']}: failed, {failure['error']}", style="red")


def show_result(result: dict[str, Any], console: "Console") -> None:
    """Print one video: heading, lanes, table."""
    from rich.text import Text

    found = [Interval(**item) for item in result["intervals"]]
    duration = float(result["duration"])
    heading = Text(one_line(result["video"]), style="bold")
    heading.append(f"  {clock(duration)}, model {one_line(result['model'])}", style="not bold dim")
    console.print(heading)
    if not found:
        console.print("no action found\n")
        return
    for line in lanes(found, duration, console.width, plain=not _can_write(console)):
        console.print(line, no_wrap=True, crop=True)
    console.print()
    console.print(_table(found))
    console.print()


def lanes(
    found: Sequence[Interval], duration: float, width: int, *, plain: bool = False
) -> "list[Text]":
    """The time axis as a line, and a line per class in the order of first action.

    A cell is filled if an action covers any part of it, so that none is too short to be seen.

    Args:
        found: intervals within the duration.
        duration: seconds of the whole video, above 0.
        width: columns of the terminal.
        plain: use ASCII only.
    """
    from rich.text import Text

    names = list(dict.fromkeys(one.label for one in sorted(found, key=lambda one: one.start)))
    shown = {name: _shortened(one_line(name)) for name in names}
    margin = max(Text(name).cell_len for name in shown.values()) + 2
    columns = max(width - margin - 1, 10)
    best = max(one.score for one in found)
    lines = [Text(" " * margin + axis(duration, columns), style="dim")]
    for index, name in enumerate(names):
        cells = [PLAIN_EMPTY if plain else EMPTY] * columns
        # Higher scores are drawn last.
        for one in sorted((one for one in found if one.label == name), key=lambda one: one.score):
            first = min(int(one.start / duration * columns), columns - 1)
            last = max(first + 1, min(round(one.end / duration * columns), columns))
            cells[first:last] = [_shade(one.score, best, plain)] * (last - first)
        line = Text(shown[name])
        line.pad_right(margin - line.cell_len)
        line.append("".join(cells), style=STYLES[index % len(STYLES)])
        lines.append(line)
    return lines


def axis(duration: float, columns: int) -> str:
    """Clock times over the columns that they mark: ``|0:00      |0:20``."""
    count = max(columns // TICK_EVERY, 1)
    text = ""
    for number in range(count):
        place = round(number * columns / count)
        text = f"{text.ljust(place)}|{clock(duration * place / columns)}"
    return text[:columns]


def _shade(score: float, best: float, plain: bool) -> str:
    shades = PLAIN_SHADES if plain else SHADES
    share = min(max(score / best, 0.0), 1.0) if best > 0 else 1.0
    return shades[min(int(share * len(shades)), len(shades) - 1)]


def _table(found: Sequence[Interval]) -> "Table":
    from rich.text import Text

    table = new_table("", "action", "start", "end", "seconds", "score")
    for one in sorted(found, key=lambda one: (one.start, one.end)):
        times = _precise(one.start), _precise(one.end), f"{one.length:.1f}"
        table.add_row(Text(one_line(one.label)), *times, f"{one.score:.2f}")
    table.title = None
    return table


def _precise(seconds: float) -> str:
    """Seconds as ``m:ss.s`` or ``h:mm:ss.s``."""
    tenths = round(seconds * 10)
    return f"{clock(tenths // 10)}.{tenths % 10}"


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def _can_write(console: "Console") -> bool:
    try:
        (SHADES + EMPTY).encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
