"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import time
from typing import TYPE_CHECKING, Any

import click

from basnet_e2e.cli.options import is_terminal
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

PLAIN_LINE_EVERY = 15.0  # seconds; a log file should not fill with progress
SPEED_OVER = 300.0  # seconds whose speed tells the time left


def now() -> float:
    """Seconds by which progress is measured."""
    return time.monotonic()


class ProgressBar:
    """The progress of one task with a free text beside it.

    On a terminal a bar with the time left; elsewhere a line every 15 seconds, so that a log shows
    that work is under way.
    """

    def __init__(self, title: str, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        self._title = title
        self._quiet = quiet
        self._printed = now()
        self.live = is_terminal() and not quiet
        self._bar = make_progress(
            [
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            ],
            self.live,
        )
        self._task = self._bar.add_task(title, total=None, note="")

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, done: int, total: int, note: str = "", title: str | None = None) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        self._title = title or self._title
        set_progress(self._bar, self._task, done, total, description=self._title, note=note)
        if self.live or self._quiet or now() - self._printed < PLAIN_LINE_EVERY:
            return
        self._printed = now()
        left = self._bar.tasks[0].time_remaining
        parts = [f"{self._title}: {done}/{total}"]
        parts += [f"{clock(left)} left"] if left else []
        click.echo(", ".join(filter(None, [*parts, note])), err=True)

    def restart(self, title: str) -> None:
        """Begin the next piece of work: its time left is counted from now."""
        self._title, self._printed = title, now()
        self._bar.reset(self._task, description=title, total=None, note="")


def make_progress(
    columns: "list[ProgressColumn]", live: bool, below: "RenderableType | None" = None
) -> "RichProgress":
    """What measures progress, and shows it if it is live.

    Args:
        columns: what a line shows.
        live: whether stderr is a terminal.
        below: shown below the line.
    """
    from rich.console import Console
    from rich.progress import Progress

    class Shown(Progress):
        def get_renderables(self) -> Any:
            yield from super().get_renderables()
            if below is not None:
                yield below

    return Shown(
        *columns,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=4,
        speed_estimate_period=SPEED_OVER,
        get_time=now,
        disable=not live,
    )


def set_progress(
    bar: "RichProgress", task: "TaskID", done: float, total: float | None, **fields: Any
) -> None:
    """Set how far a task is; unlike ``Progress.update`` a new total does not reset its speed."""
    bar.tasks[0].total = total
    bar.update(task, completed=done, **fields)
