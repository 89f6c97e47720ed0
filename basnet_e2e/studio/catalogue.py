"""The videos of the studio's folder, with an address for each that is not its path."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from extract.sources.find import same_name, search


@dataclass(frozen=True)
class Video:
    """One file.

    Attributes:
        key: names it in addresses.
        id: its name in all files, see ``extract.sources``.
        path: the file.
        stamp: changes with the file.
        problem: why it cannot be worked on.
    """

    key: str
    id: str
    path: Path
    stamp: str
    problem: str = ""


class Catalogue:
    """Videos below a folder, looked for again at every :meth:`scan`.

    Attributes:
        videos: by key, in the order of their ids.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.videos: dict[str, Video] = {}
        self._lock = threading.Lock()

    def scan(self) -> bool:
        """Look for videos; whether something has changed."""
        found: dict[str, Video] = {}
        for each in search(self.folder):
            assert isinstance(each.path, Path)
            try:
                stat = each.path.stat()
            except OSError:
                continue  # gone since
            key, problem = key_of(each.id), ""
            if not each.path.resolve().is_relative_to(self.folder):
                problem = f"{each.path.name}: a link that leads out of {self.folder}"
            if key in found:
                other = found[key].path.name
                problem = f"{other} and {each.path.name} would both be called '{each.id}'"
            stamp = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:8]
            found[key] = Video(key, each.id, each.path, stamp, problem)
        with self._lock:
            changed = found != self.videos
            self.videos = found
        return changed

    @property
    def ids(self) -> list[str]:
        """Ids of the videos."""
        return [video.id for video in self.videos.values()]


def key_of(video_id: str) -> str:
    """The part of an address that means a video."""
    return hashlib.sha256(same_name(video_id).encode("utf-8", "surrogatepass")).hexdigest()[:16]
