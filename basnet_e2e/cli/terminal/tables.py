"""Tables on stdout: 80 columns wide, and as wide as a terminal that is wider."""

import shutil
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from basnet_e2e.reproduction.tables import Sheet

NARROW = 80


def new_table(title: str, first: str, *columns: str) -> "Table":
    """An empty table: a first column of names that may fold, and columns of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def width(file: IO[str] | None = None) -> int:
    """Columns to print in: those of a wide terminal; elsewhere 80, the same everywhere."""
    terminal = (file or sys.stdout).isatty()
    return max(NARROW, shutil.get_terminal_size().columns) if terminal else NARROW


def new_console(file: IO[str] | None = None) -> "Console":
    """A console of that width that prints text as it is. Default: stdout."""
    from rich.console import Console

    file = file or sys.stdout
    return Console(file=file, width=width(file), markup=False, emoji=False, highlight=False)


def show(*tables: "Table", to_stderr: bool = False) -> None:
    """Print tables on stdout (or stderr)."""
    console = new_console(sys.stderr if to_stderr else None)
    for index, table in enumerate(tables):
        if index:
            console.print()
        # Printed apart from the table, which would fold its title at its own width.
        console.print(table.title)
        table.title = None
        console.print(table)


def show_text(text: str) -> None:
    """Print running text at the same width."""
    new_console().print(text)


def show_sheets(sheets: "Iterable[Sheet]") -> None:
    """Print tables of text, each with its notes below and an empty line between."""
    for sheet in sheets:
        table = new_table(sheet.title, *sheet.columns)
        for row in sheet.rows:
            table.add_row(*row)
        show(table)
        for note in sheet.notes:
            show_text(f"\n{note}")
        show_text("")
