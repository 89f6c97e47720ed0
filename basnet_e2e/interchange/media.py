"""What formats have to know about the video files themselves: where they are, how fast."""

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from basnet_e2e.data.annotations.video_names import match_ids
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization
from extract.sources.find import VIDEO_SUFFIXES, files_by_id
from extract.video.isolation.isolated_clip import open_isolated

# An average over rounded timestamps misses the rate that a file was made with by less than this.
RATE_SLACK = Fraction(1, 10_000)
ROUNDED = Fraction(5, 1000)
BROADCAST = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120))


@dataclass(frozen=True)
class Media:
    """The video files behind results.

    Attributes:
        files: id of a video -> its file; videos that are not available are not in it.
        folder: folder of the exported document; links are relative to it.
        prefix: put before every name, for tools that fetch videos from a server.
        fps: frames per second to count in. Default: each video's own.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    prefix: str = ""
    fps: Fraction | None = None

    def name(self, result: Localization) -> str:
        """The video's id with its suffix, after the prefix: what a server calls it."""
        path = self.files.get(result.video)
        return self.prefix + result.video + _video_suffix(path.name if path else result.file)

    def link(self, result: Localization) -> str:
        """Path of the video relative to the document; its name where the file is not available."""
        path = self.files.get(result.video)
        if path is None or self.prefix:
            return self.name(result)
        here = (self.folder or Path()).resolve()
        try:
            return Path(os.path.relpath(path.resolve(), here)).as_posix()
        except ValueError:  # another drive
            return path.resolve().as_posix()

    def rate(self, result: Localization, default: Fraction | None = None) -> Fraction:
        """Frames per second to count the frames of a video in.

        Raises:
            BasnetError: neither the video nor a rate was given.
            ExtractError: the video cannot be read.
        """
        if self.fps is not None:
            return self.fps
        if default is not None:
            return default
        path = self.files.get(result.video)
        if path is None:
            raise BasnetError(
                f"frames are counted at the rate of the video, and '{result.video}' is not "
                "available: say where it is (--videos DIR) or its frames per second (--fps)"
            )
        return source_rate(path)

    def file(self, result: Localization) -> Path:
        """The video file.

        Raises:
            BasnetError: it is not available.
        """
        path = self.files.get(result.video)
        if path is None:
            raise BasnetError(
                f"the video '{result.video}' ({result.file}) is not available; say where it is: "
                "--videos DIR"
            )
        return path


def find_media(names: Iterable[str], places: Sequence[Path]) -> dict[str, Path]:
    """The video files that names mean: name -> file.

    Args:
        names: ids of videos.
        places: video files and folders of videos; the first that has a video counts.

    Raises:
        ExtractError: a path does not exist, or a folder holds no video.
        BasnetError: a name could mean several files.
    """
    wanted, found = set(names), dict[str, Path]()
    for place in places:
        files = files_by_id([place])
        matches = match_ids(sorted(wanted - found.keys()), files)
        found |= {name: files[video_id] for name, video_id in matches.found.items()}
    return found


@functools.lru_cache(maxsize=256)
def source_rate(path: Path) -> Fraction:
    """Average frames per second of a video file, the exact number it was made with if constant.

    Raises:
        ExtractError: the file cannot be read.
    """
    with open_isolated(path) as clip:
        return exact_rate(clip.fps)


def exact_rate(fps: float) -> Fraction:
    """The rate that a measured average means: a whole number, a broadcast rate, or itself.

    >>> exact_rate(29.970031), exact_rate(25.0001), exact_rate(19.62)
    (Fraction(30000, 1001), Fraction(25, 1), Fraction(981, 50))
    """
    usual = (*BROADCAST, Fraction(round(fps)))
    nearest = min(usual, key=lambda rate: abs(rate - Fraction(fps)))
    if nearest and abs(nearest - Fraction(fps)) <= RATE_SLACK * nearest:
        return nearest
    return Fraction(fps).limit_denominator(1001)


def nominal_rate(fps: Fraction) -> Fraction:
    """The broadcast rate that people write with two decimals; any other rate is itself.

    >>> nominal_rate(Fraction("29.97")), nominal_rate(Fraction(24))
    (Fraction(30000, 1001), Fraction(24, 1))
    """
    return next((rate for rate in BROADCAST if abs(rate - fps) <= ROUNDED), fps)


def _video_suffix(name: str) -> str:
    """Suffix of a video file's name; nothing for a feature file."""
    suffix = Path(name).suffix
    return suffix if suffix.lower() in VIDEO_SUFFIXES else ""
