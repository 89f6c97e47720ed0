"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import click

from basnet_e2e.cli.messages import is_quiet
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_LINE_EVERY = 15.0  # seconds; a log file should not fill with progress
SPEED_OVER = 300.0  # seconds over which speed is measured


class ProgressBar:
    """A bar with a text beside it and a line below; elsewhere both as lines every 15 seconds.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        below = Text("", style="dim", no_wrap=True, overflow="ellipsis")

        class WithLineBelow(Progress):
            def get_renderables(self) -> "Iterator[RenderableType]":
                yield from super().get_renderables()
                yield below

        self._below, self._quiet = below, quiet or is_quiet()
        self._live = sys.stderr.isatty() and not self._quiet
        self._progress = WithLineBelow(
            BarColumn(bar_width=10),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
            speed_estimate_period=SPEED_OVER,
            get_time=time.monotonic,
            disable=not self._live,
        )
        self._progress.add_task("", total=None)
        self._task = self._progress.tasks[0]
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()

    def set(self, done: float, total: float | None) -> None:
        """Set how much is done; unlike in rich, a new total keeps the measured speed."""
        self._task.total = total
        self._progress.update(self._task.id, completed=done)

    def show(self, text: str, below: str = "") -> None:
        """Show a text beside the bar and a line below it."""
        self._progress.update(self._task.id, description=text)
        self._below.plain = below
        now = time.monotonic()
        if self._live or self._quiet or now - self._printed < PLAIN_LINE_EVERY:
            return
        self._printed = now
        click.echo(text, err=True)
        if below:
            click.echo(f"  {below}", err=True)


class StepProgress(ProgressBar):
    """The steps of one piece of work after another.

    Args:
        title: of the first one.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.begin(title)

    def begin(self, title: str) -> None:
        """Begin the next piece of work: its time left is counted from now."""
        self._title, self._printed = title, time.monotonic()
        self._task.total = None
        self._progress.reset(self._task.id, description=title)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self.set(done, total)
        seconds = self._task.time_remaining
        left = f"{clock(seconds)} left" if seconds else ""
        self.show(", ".join(filter(None, [f"{self._title}: {done}/{total}", left, note])))
