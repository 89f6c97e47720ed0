"""The progress of an extraction on stderr: two moving lines on a terminal, plain ones elsewhere."""

import time
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.options import is_terminal
from basnet_e2e.cli.terminal.progress import PLAIN_LINE_EVERY
from basnet_e2e.cli.terminal.video_time import VideoTime

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR_WIDTH = 10


class ExtractBar:
    """Shows a ``VideoTime`` as it changes.

    On a terminal a bar by video time and below it the files at work; elsewhere a line every 15
    seconds, so that a log shows that work goes on.

    Args:
        time: what is shown.
        quiet: show nothing.
    """

    def __init__(self, time: VideoTime, quiet: bool = False) -> None:
        self._time = time
        self._quiet = quiet
        self._began: float | None = None  # with the first event: loading networks is no speed
        self._printed = _now()
        self._live = None
        if is_terminal() and not quiet:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._picture,
                console=Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )

    def __enter__(self) -> "ExtractBar":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def update(self) -> None:
        """Something has changed: where there is no bar, a line is due from time to time."""
        now = _now()
        if self._began is None:
            self._began = now
        if self._live or self._quiet or now - self._printed < PLAIN_LINE_EVERY:
            return
        self._printed = now
        click.echo(self._line(), err=True)
        if at_work := self._time.at_work():
            click.echo(f"  {at_work}", err=True)

    def _line(self) -> str:
        return self._time.line(0.0 if self._began is None else _now() - self._began)

    def _picture(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        total, done = self._time.total, self._time.done
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(total=total, completed=done, width=BAR_WIDTH, pulse=total is None),
            Text(self._line(), no_wrap=True, overflow="ellipsis"),
        )
        at_work = Text(self._time.at_work(), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(row, at_work)


def _now() -> float:
    return time.monotonic()
