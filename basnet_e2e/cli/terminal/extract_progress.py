"""What a person sees of `basnet extract`: progress in video time, a line per video, reasons."""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import click

from basnet_e2e.cli.terminal.progress import ProgressBar
from basnet_e2e.display import clock
from extract.jobs.plan import Event
from extract.sources.find import printable

log = logging.getLogger(__name__)

COLUMNS = 79
LONGEST_NAME = 24
SHOWN_REASONS = 5
LONGEST_REASON = 70  # fits into 80 columns
PATH = re.compile(r"\S*[/\\]\S+")


@dataclass
class _Video:
    """Seconds of a running video: done in this run, by an interrupted one, and in all."""

    done: float = 0.0
    before: float | None = None
    total: float = 0.0


class ExtractProgress(ProgressBar):
    """Events of an extraction as a bar and lines, or as JSON lines on stderr.

    Progress is measured in the time of the videos. A video's length is known only when it is
    opened; until then it is estimated from its size on the disk. What an interrupted run did before
    does not count.

    Args:
        json_log: write JSON lines instead.
    """

    def __init__(self, json_log: bool = False) -> None:
        super().__init__(quiet=json_log)
        self._sizes: Mapping[str, int] = {}
        self._json = json_log
        self._made_by = ""
        self._began = time.monotonic()
        self._running: dict[str, _Video] = {}
        self._ended = self._failed = 0
        self._done = self._known = self._seconds = 0.0
        self._known_bytes = self._gone_bytes = 0

    def begin(self, sizes: Mapping[str, int]) -> None:
        """Start.

        Args:
            sizes: bytes of the videos to extract, by id.
        """
        self._sizes, self._began = sizes, time.monotonic()
        self.show(self.line())

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        super().__exit__()
        if isinstance(error, KeyboardInterrupt | OSError) and self._sizes:
            error.add_note(
                f"{self._ended} of {len(self._sizes)} videos are done; run the same command to "
                "continue"
            )
        elif error is None and self._seconds and not self._json:
            log.info("%s", pace(self._seconds, time.monotonic() - self._began))

    def on_event(self, event: Event) -> None:
        """Show an event."""
        self._count(event)
        self._seconds += event.duration if event.kind == "done" else 0.0
        if self._json:
            _write_json(event)
        elif event.kind == "failed":
            log.warning("%s", event.message)
        elif event.kind == "done":
            if event.message != self._made_by:  # once, and again when it changes
                log.info("by %s:", event.message)
            self._made_by = event.message
            number = f"[{self._ended}/{len(self._sizes)}]"
            log.info("%s %s: %s", number, event.video.id, pace(event.duration, event.seconds))
        self.set(*self.seconds())
        self.show(self.line(), self.running())

    def _count(self, event: Event) -> None:
        name = event.video.id
        if event.kind == "start":
            self._running[name] = _Video()
        elif event.kind == "progress" and event.total:
            video = self._running.setdefault(name, _Video())
            done = event.duration * event.done / event.total
            if video.before is None:
                video.before = done
            video.done, video.total = done - video.before, event.duration
        elif event.kind in ("done", "failed", "elsewhere"):
            video, size = self._running.pop(name, _Video()), self._sizes.get(name, 0)
            self._ended += 1
            self._failed += event.kind == "failed"
            if event.kind == "done":
                self._done += event.duration - (video.before or 0.0)
                self._known += event.duration
                self._known_bytes += size
            else:
                self._gone_bytes += size

    def seconds(self) -> tuple[float, float | None]:
        """Seconds of video that this run has done, and in all; None while no length is known."""
        opened = {name: video for name, video in self._running.items() if video.total}
        done = self._done + sum(video.done for video in opened.values())
        known = self._known + sum(video.total for video in opened.values())
        known_bytes = self._known_bytes + sum(self._sizes.get(name, 0) for name in opened)
        if not known or not known_bytes:
            return done, None
        unknown = max(0, sum(self._sizes.values()) - known_bytes - self._gone_bytes)
        opened_left = sum(v.total - (v.before or 0.0) - v.done for v in opened.values())
        return done, done + opened_left + known / known_bytes * unknown

    def line(self) -> str:
        """Progress: ``3/60 videos, 1 failed: 2:10 of 34:10, 0.52x real time, 61:30 left``."""
        videos = len(self._sizes)
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._ended}/{videos} video{'s' * (videos != 1)}{failed}"
        done, total = self.seconds()
        if total is None:
            return line
        line += f": {clock(done)} of {clock(total)}"
        if speed := self._task.speed:
            left = clock(self._task.time_remaining or 0.0)
            line += f", {speed:.2f}x real time, {left} left"
        return line

    def running(self) -> str:
        """The running videos, as many as fit: ``a 45 %, b 12 %, 3 more``."""
        shown: list[str] = []
        left = len(self._running)
        for name, video in self._running.items():
            done = video.done + (video.before or 0.0)
            share = f" {round(100 * done / video.total)} %" if video.total else ""
            text = (name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}") + share
            if len(", ".join([*shown, text])) > COLUMNS - len(", 9999 more"):
                break
            shown.append(text)
            left -= 1
        return ", ".join([*shown, *([f"{left} more"] if left else [])])


def _write_json(event: Event) -> None:
    row = {
        "event": event.kind,
        "video": event.video.id,
        "done": event.done,
        "total": event.total,
        "seconds": round(event.seconds, 3),
        "duration": round(event.duration, 3),
        "message": event.message,
    }
    click.echo(printable(json.dumps(row, ensure_ascii=False)), err=True)


def pace(video: float, spent: float) -> str:
    """Seconds of video and of work, and their ratio, for people.

    >>> pace(60.0, 120.0)
    '1:00 of video in 2:00 (0.50x real time)'
    """
    return f"{clock(video)} of video in {clock(spent)} ({video / max(spent, 1e-3):.2f}x real time)"


def reasons(messages: Iterable[str]) -> list[tuple[str, int]]:
    """Why videos failed and how often, most frequent first, without names and numbers.

    >>> reasons(["a.mp4: cut off at 3 s", "b.mp4: cut off at 5 s", "c.mp4: the file is empty"])
    [('cut off at N s', 2), ('the file is empty', 1)]
    """
    found = Counter(map(_reason, messages)).most_common()
    rest = sum(count for _, count in found[SHOWN_REASONS:])
    return found[:SHOWN_REASONS] + ([("other reasons", rest)] if rest else [])


def _reason(message: str) -> str:
    text = (message.partition(": ")[2] or message).partition("; ")[0]
    text = re.sub(r"\d+(\.\d+)?", "N", PATH.sub("FILE", text))
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."
