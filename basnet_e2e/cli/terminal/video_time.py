"""How far an extraction is, by the time of its videos; and that as text of at most 80 columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from basnet_e2e.display import clock

if TYPE_CHECKING:
    from extract.jobs.plan import Event

COLUMNS = 79
LONGEST_NAME = 24


@dataclass
class _AtWork:
    """A video in hand: seconds done, of those the ones that an earlier run did, and in all."""

    done: float = 0.0
    before: float = 0.0
    total: float = 0.0


@dataclass
class VideoTime:
    """Counts what events tell.

    How long a video is shows only when it is opened. Until then it counts as long as others are for
    their size on the disk.

    Attributes:
        sizes: bytes of the videos that are to be done, by id.
        seconds_a_snippet: from one snippet's start to the next one's.
        part: snippets of the parts in which an earlier run may have left a video.
        ended: videos that are done, here or elsewhere, or have failed.
        failed: how many of them failed.
        worked: seconds of video that this run did.
    """

    sizes: Mapping[str, int]
    seconds_a_snippet: float
    part: int
    ended: int = 0
    failed: int = 0
    worked: float = 0.0
    _done: float = 0.0
    _known: float = 0.0
    _known_bytes: int = 0
    _gone_bytes: int = 0
    _at_work: dict[str, _AtWork] = field(default_factory=dict)

    def hear(self, event: "Event") -> None:
        """Take note of an event."""
        name = event.video.id
        if event.kind == "start":
            self._at_work[name] = _AtWork()
        elif event.kind == "progress" and event.total:
            self._progress(self._at_work.setdefault(name, _AtWork()), event)
        elif event.kind in ("done", "failed", "elsewhere"):
            self._end(name, event)

    def _progress(self, video: _AtWork, event: "Event") -> None:
        if not video.total:
            video.before = (event.done - 1) // self.part * self.part * self.seconds_a_snippet
        done = event.done * self.seconds_a_snippet
        self.worked += done - max(video.done, video.before)
        video.done, video.total = done, event.total * self.seconds_a_snippet

    def _end(self, name: str, event: "Event") -> None:
        video = self._at_work.pop(name, _AtWork())
        self.ended += 1
        self.failed += event.kind == "failed"
        if event.kind == "done":
            self._done += event.duration
            self._known += event.duration
            self._known_bytes += self.sizes.get(name, 0)
            self.worked += max(0.0, event.duration - max(video.done, video.before))
        else:
            self._gone_bytes += self.sizes.get(name, 0)

    @property
    def done(self) -> float:
        """Seconds of video that are behind us, those of earlier runs in the same videos too."""
        return self._done + sum(video.done for video in self._at_work.values())

    @property
    def total(self) -> float | None:
        """Seconds of all videos, None while no length is known. Failed ones have none."""
        opened = {name: video for name, video in self._at_work.items() if video.total}
        known = self._known + sum(video.total for video in opened.values())
        known_bytes = self._known_bytes + sum(self.sizes.get(name, 0) for name in opened)
        if not known or not known_bytes:
            return None
        unknown = sum(self.sizes.values()) - known_bytes - self._gone_bytes
        return known + known / known_bytes * max(0, unknown)

    def left(self, elapsed: float) -> float | None:
        """Seconds of work that are left at the speed so far."""
        if self.total is None or self.worked <= 0:
            return None
        return max(0.0, self.total - self.done) * elapsed / self.worked

    def line(self, elapsed: float) -> str:
        """How far it is: ``3/60 videos, 1 failed: 2:10 of 34:10, 0.52x real time, 61:30 left``."""
        videos = len(self.sizes)
        failed = f", {self.failed} failed" if self.failed else ""
        counted = f"{self.ended}/{videos} video{'s' * (videos != 1)}{failed}"
        return ": ".join(filter(None, (counted, self.time(elapsed))))

    def time(self, elapsed: float) -> str:
        """``2:10 of 34:10, 0.52x real time, 61:30 left``; empty while no length is known."""
        if self.total is None:
            return ""
        speed = f", {self.worked / max(elapsed, 1e-3):.2f}x real time" if self.worked else ""
        left = self.left(elapsed)
        until = "" if left is None else f", {clock(left)} left"
        return f"{clock(self.done)} of {clock(self.total)}{speed}{until}"

    def at_work(self) -> str:
        """The files at work, those that have no room counted: ``a 45 %, b 12 %, 3 more``."""
        shown: list[str] = []
        left = len(self._at_work)
        for name, video in self._at_work.items():
            share = f" {round(100 * video.done / video.total)} %" if video.total else ""
            text = (name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}") + share
            if len(", ".join([*shown, text])) > COLUMNS - len(", 9999 more"):
                break
            shown.append(text)
            left -= 1
        return ", ".join([*shown, *([f"{left} more"] if left else [])])
