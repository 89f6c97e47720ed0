"""Small pictures of a video at even distances, for the strip below its timeline."""

import io
import os
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from basnet_e2e.report.evidence import Thumbnail
from extract.video.isolation.isolated_clip import open_isolated

EVERY = 2.0  # seconds between two pictures of a short video
MOST = 120  # pictures of any video: about half a megabyte in a page
FEWEST = 8
HEIGHT = 90  # pixels
WIDEST = 240  # pixels, of panoramas
QUALITY = 70


def thumbnail_times(duration: float) -> list[float]:
    """Seconds of the pictures: the middles of equal parts of the video.

    >>> thumbnail_times(16.0)
    [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]
    """
    count = int(min(MOST, max(FEWEST, duration / EVERY)))
    return [(n + 0.5) * duration / count for n in range(count)]


def encode(frame: NDArray[np.uint8]) -> bytes:
    """A frame ``[H, W, 3] uint8`` as a small JPEG picture."""
    height, width = frame.shape[:2]
    scale = min(1.0, HEIGHT / height, WIDEST / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    target = io.BytesIO()
    Image.fromarray(frame).resize(size, Image.Resampling.BOX).save(
        target, "JPEG", quality=QUALITY, optimize=True
    )
    return target.getvalue()


class ThumbnailRecorder:
    """Takes the thumbnails out of frames that pass by in order, decoded for another purpose.

    Args:
        duration: of the video in seconds.
    """

    def __init__(self, duration: float) -> None:
        self._times = thumbnail_times(duration)
        self.taken: list[Thumbnail] = []

    def on_frame(self, time: float, frame: NDArray[np.uint8]) -> None:
        """Look at a frame ``[H, W, 3] uint8`` that the video shows from ``time`` on."""
        if self._times and time >= self._times[0]:
            while self._times and time >= self._times[0]:
                self._times.pop(0)
            self.taken.append(Thumbnail(time, encode(frame)))


def take_thumbnails(path: str | os.PathLike[str]) -> tuple[Thumbnail, ...]:
    """Decode only the frames that are needed.

    Raises:
        VideoError: the file is not a video, or it is damaged.
        ExtractError: there is no such file.
    """
    with open_isolated(path) as clip:
        times = thumbnail_times(clip.duration)
        # A grid of twice the rate holds the middles of the parts as its odd frames.
        rate = Fraction(2 * len(times)) / Fraction(clip.duration).limit_denominator(10**6)
        odd = (each for n, each in enumerate(clip.frames(rate)) if n % 2)
        return tuple(Thumbnail(time, encode(frame)) for time, frame in odd)
