"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import time

import click

from basnet_e2e.cli.options import is_terminal
from basnet_e2e.display import clock

PLAIN_LINE_EVERY = 15.0  # seconds; a log file should not fill with progress


class ProgressBar:
    """One task's progress with a free text beside it.

    On a terminal a bar with the time left; elsewhere a line every 15 seconds, so that a log shows
    that work goes on.
    """

    def __init__(self, title: str, quiet: bool = False) -> None:
        self.title = title
        self._quiet = quiet
        self._printed = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._bar = None
        self._task = None
        if is_terminal() and not quiet:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(title, total=None, note="")

    def __enter__(self) -> "ProgressBar":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, total: int, note: str = "", title: str | None = None) -> None:
        """Show that ``done`` of ``total`` steps are behind us."""
        if title is not None:
            self.title = title
        if self._bar and self._task is not None:
            self._bar.update(
                self._task, description=self.title, completed=done, total=total, note=note
            )
            return
        now = time.monotonic()
        # What was done before, and how long it took to begin, say nothing of the pace.
        began, before = self._first = self._first or (now, done)
        if self._quiet or now - self._printed < PLAIN_LINE_EVERY:
            return
        self._printed = now
        new = done - before
        left = f", {clock((now - began) * (total - done) / new)} left" if new > 0 else ""
        tail = f", {note}" if note else ""
        click.echo(f"{self.title}: {done}/{total}{left}{tail}", err=True)

    def restart(self, title: str) -> None:
        """Begin the next piece of work: its time left is counted from now."""
        self.title = title
        self._printed, self._first = time.monotonic(), None
        if self._bar and self._task is not None:
            self._bar.reset(self._task, description=title, total=None, note="")
