"""What a person sees of `basnet extract`: a bar, a line per video, what went wrong how often."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.terminal.extract_bar import ExtractBar
from basnet_e2e.cli.terminal.video_time import VideoTime
from basnet_e2e.display import clock

if TYPE_CHECKING:
    from extract.jobs.plan import Event

log = logging.getLogger(__name__)

SHOWN_REASONS = 5
LONGEST_REASON = 70  # fits into 80 columns
PATH = re.compile(r"\S*[/\\]\S+")


class ExtractReport:
    """Events of extraction as a bar and lines, or as JSON lines.

    Args:
        time: counts the events.
        json_log: JSON lines on stderr instead.

    Attributes:
        time: see above.
    """

    def __init__(self, time: VideoTime, json_log: bool) -> None:
        self._videos = len(time.sizes)
        self.time = time
        self._json = json_log
        self._how = ""
        self._began = monotonic()
        self._seconds_of_video = 0.0
        quiet = json_log or log.getEffectiveLevel() > logging.INFO
        self._bar = ExtractBar(time, quiet=quiet)

    def __enter__(self) -> "ExtractReport":
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, trace)
        if isinstance(error, KeyboardInterrupt | OSError):
            error.add_note(
                f"{self.time.ended} of {self._videos} videos are done; the same command goes on "
                "with the rest"
            )
        elif error is None and self._seconds_of_video and not self._json:
            log.info("%s", pace(self._seconds_of_video, monotonic() - self._began))

    @property
    def took(self) -> tuple[float, float]:
        """Seconds of video that were done, and seconds since the beginning."""
        return self._seconds_of_video, monotonic() - self._began

    def hear(self, event: "Event") -> None:
        """Show an event."""
        self.time.hear(event)
        self._seconds_of_video += event.duration
        if self._json:
            self._write_json(event)
        elif event.kind == "failed":
            log.warning("%s", event.message)
        elif event.kind == "done":
            self._tell_how(event.message)
            place = f"[{self.time.ended}/{self._videos}]"
            log.info("%s %s: %s", place, event.video.id, pace(event.duration, event.seconds))
        self._bar.update()

    def _tell_how(self, how: str) -> None:
        """Decoder, engine and runtime once, and again where a video differs."""
        if how != self._how:
            log.info("by %s:", how)
        self._how = how

    def _write_json(self, event: "Event") -> None:
        row = {
            "event": event.kind,
            "video": event.video.id,
            "done": event.done,
            "total": event.total,
            "seconds": round(event.seconds, 3),
            "duration": round(event.duration, 3),
            "message": event.message,
        }
        click.echo(json.dumps(row, ensure_ascii=False), err=True)


def pace(video: float, spent: float) -> str:
    """So many seconds of video in so many seconds, as a person would say it.

    >>> pace(60.0, 120.0)
    '1:00 of video in 2:00 (0.50x real time)'
    """
    return f"{clock(video)} of video in {clock(spent)} ({video / max(spent, 1e-3):.2f}x real time)"


def reasons(messages: Iterable[str]) -> list[tuple[str, int]]:
    """Why videos failed and how often, the most frequent first; names and numbers left aside.

    >>> reasons(["a.mp4: cut off at 3 s", "b.mp4: cut off at 5 s", "c.mp4: the file is empty"])
    [('cut off at N s', 2), ('the file is empty', 1)]
    """
    counted = Counter(_reason(message) for message in messages)
    found = counted.most_common()
    rest = sum(count for _, count in found[SHOWN_REASONS:])
    return found[:SHOWN_REASONS] + ([("other reasons", rest)] if rest else [])


def _reason(message: str) -> str:
    text = (message.partition(": ")[2] or message).partition("; ")[0]
    text = re.sub(r"\d+(\.\d+)?", "N", PATH.sub("FILE", text))
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."
