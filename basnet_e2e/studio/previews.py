"""Small pictures and the length of every video, taken by a decoder that can be killed."""

import io
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from basnet_e2e.errors import BasnetError
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.thumbnails import HEIGHT, take_thumbnails
from basnet_e2e.studio.catalogue import Video
from extract.errors import ExtractError
from extract.video.isolation.isolated_clip import open_isolated
from weights.files import write_text

STRIP = 6  # pictures of a video in the list


@dataclass(frozen=True)
class Preview:
    """What is known of a video before anybody looks at it.

    Attributes:
        duration: seconds; 0 of a video that cannot be decoded.
        error: why it cannot.
    """

    duration: float
    error: str = ""


class Previews:
    """Takes previews one after the other in a thread of its own, and keeps them in a folder.

    Args:
        folder: for this alone.
        on_change: called with the key of a video whose preview is there.
    """

    def __init__(self, folder: Path, on_change: Callable[[str], None]) -> None:
        self._folder, self._on_change = folder, on_change
        self._known: dict[str, tuple[str, Preview]] = {}
        self._wanted: list[str] = []
        self._videos: dict[str, Video] = {}
        self._condition = threading.Condition()
        self._closed = False
        threading.Thread(target=self._work, daemon=True, name="previews").start()

    def offer(self, videos: Iterable[Video]) -> None:
        """Take previews of all these."""
        with self._condition:
            self._videos = {video.key: video for video in videos if not video.problem}
            self._condition.notify()

    def want(self, keys: Iterable[str]) -> None:
        """Take these first: somebody looks at them."""
        with self._condition:
            self._wanted = [key for key in keys if key in self._videos]
            self._condition.notify()

    def of(self, video: Video) -> Preview | None:
        """The preview of a video; None until it was taken."""
        known = self._known.get(video.key)
        if known and known[0] == video.stamp:
            return known[1]
        return None

    def evidence(self, video: Video) -> Evidence | None:
        """Its pictures; None until they were taken."""
        path = self._path(video)
        try:
            return Evidence.load(path) if path.is_file() else None
        except BasnetError:
            path.unlink(missing_ok=True)
            return None

    def strip(self, video: Video) -> bytes | None:
        """A few of its pictures side by side, as a JPEG file; None until they were taken."""
        found = self.evidence(video)
        if found is None or not found.thumbnails:
            return None
        count = len(found.thumbnails)
        chosen = [found.thumbnails[(2 * n + 1) * count // (2 * STRIP)] for n in range(STRIP)]
        pictures = [Image.open(io.BytesIO(each.jpeg)) for each in chosen]
        width = sum(each.width for each in pictures)
        joined = Image.new("RGB", (width, HEIGHT))
        x = 0
        for each in pictures:
            joined.paste(each, (x, (HEIGHT - each.height) // 2))
            x += each.width
        target = io.BytesIO()
        joined.save(target, "JPEG", quality=75)
        return target.getvalue()

    def close(self) -> None:
        """Take no more."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _path(self, video: Video, suffix: str = ".evidence") -> Path:
        return self._folder / f"{video.key}-{video.stamp}{suffix}"

    def _next(self) -> Video | None:
        """The next video without a preview, those that somebody looks at first."""
        for key in [*self._wanted, *self._videos]:
            video = self._videos.get(key)
            if video is not None and self.of(video) is None:
                return video
        return None

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._closed and (video := self._next()) is None:
                    self._condition.wait()
                if self._closed:
                    return
            assert video is not None
            self._known[video.key] = (video.stamp, self._take(video))
            self._on_change(video.key)

    def _take(self, video: Video) -> Preview:
        kept, failed = self.evidence(video), self._path(video, ".failed")
        if kept is not None:
            return Preview(kept.duration)
        if failed.is_file():
            return Preview(0.0, failed.read_text("utf-8"))
        try:
            with open_isolated(video.path) as clip:
                duration = float(clip.duration)
            pictures = take_thumbnails(video.path)
            Evidence.none(video.id, duration, pictures).save(self._path(video))
        except (ExtractError, OSError) as error:
            text = str(error).replace(str(video.path), video.path.name)
            write_text(failed, text)
            return Preview(0.0, text)
        return Preview(duration)
