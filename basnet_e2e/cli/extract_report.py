"""What a person sees of `basnet extract`: a bar, a line per video, what went wrong how often."""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.progress import ProgressBar, clock

if TYPE_CHECKING:
    from extract.folder import Event

log = logging.getLogger(__name__)

SHOWN_REASONS = 5
LONGEST_REASON = 70  # fits into 80 columns
PATH = re.compile(r"\S*[/\\]\S+")


class ExtractReport:
    """Events of extraction as a bar and lines, or as JSON lines.

    One video at a time shows its snippets; several at a time show how many videos are done.

    Args:
        videos: how many are to be done.
        jobs: how many at a time.
        json_log: JSON lines on stderr instead.
    """

    def __init__(self, videos: int, jobs: int, json_log: bool) -> None:
        self._videos = videos
        self._jobs = jobs
        self._ended = 0
        self._failed = 0
        self._json = json_log
        self._how = ""
        self._began = time.monotonic()
        self._seconds_of_video = 0.0
        quiet = json_log or log.getEffectiveLevel() > logging.INFO
        self._progress = ProgressBar("videos", quiet=quiet)

    def __enter__(self) -> "ExtractReport":
        self._progress.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        if isinstance(error, KeyboardInterrupt | OSError):
            error.add_note(
                f"{self._ended} of {self._videos} videos are done; the same command goes on with "
                "the rest"
            )
        elif error is None and self._seconds_of_video and not self._json:
            log.info("%s", pace(self._seconds_of_video, time.monotonic() - self._began))

    @property
    def took(self) -> tuple[float, float]:
        """Seconds of video that were done, and seconds since the beginning."""
        return self._seconds_of_video, time.monotonic() - self._began

    def hear(self, event: "Event") -> None:
        """Show an event."""
        self._ended += event.kind in ("done", "failed", "elsewhere")
        self._failed += event.kind == "failed"
        self._seconds_of_video += event.duration
        if self._json:
            self._write_json(event)
        elif event.kind == "failed":
            log.warning("%s", event.message)
        elif event.kind == "done":
            self._tell_how(event.message)
            place = f"[{self._ended}/{self._videos}]"
            log.info("%s %s: %s", place, event.video.id, pace(event.duration, event.seconds))
        self._show(event)

    def _tell_how(self, how: str) -> None:
        """Decoder, engine and runtime once, and again where a video differs."""
        if how != self._how:
            log.info("by %s:", how)
        self._how = how

    def _show(self, event: "Event") -> None:
        failed = f", {self._failed} failed" if self._failed else ""
        if self._jobs > 1:
            self._progress.update(self._ended, self._videos, failed.removeprefix(", "))
        elif event.kind == "start":
            self._progress.restart(event.video.id)
        elif event.kind == "progress":
            note = f"video {self._ended + 1}/{self._videos}{failed}"
            self._progress.update(event.done, event.total, note)

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
