"""Videos decoded in a process of its own: a decoder that hangs or crashes costs one video at most.

What a decoder does to its process cannot be caught there: it may loop for ever, crash, or take all
memory. So it works in another one (``decoding_process``), and where that is lost the other decoder
goes on once, from the last good frame.
"""

import contextlib
import logging
import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.video.clock import FrameRate, frame_rate
from extract.video.isolation.child import OPENER
from extract.video.isolation.parent import DecodingProcess, LostError

log = logging.getLogger(__name__)

STALL = 60.0
"""Seconds without a new frame after which a decoder counts as hung."""


class Isolation:
    """Opens videos in a decoding process, which is started anew where it is lost.

    Args:
        stall: seconds without a new frame after which a decoder is ended.
        opener: ``module:function`` that opens a video in the decoding process.
        limit: bytes of memory that the process may take; without it half of the machine's.
    """

    def __init__(
        self, stall: float = STALL, *, opener: str = OPENER, limit: int | None = None
    ) -> None:
        self._how = (stall, opener, limit)
        self._process: DecodingProcess | None = None

    def start(self) -> None:
        """Start the process now, so that it is ready when a video comes."""
        self.process()

    def process(self) -> DecodingProcess:
        """The decoding process, a new one where the last one is gone."""
        if self._process is None or self._process.gone:
            self._process = DecodingProcess(*self._how)
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def open(
        self, path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
    ) -> "IsolatedClip":
        """As ``open_video``, elsewhere.

        Raises:
            VideoError: as ``open_video``, or the decoder hangs or crashes, and the other one too.
        """
        name = os.fspath(path)
        try:
            return IsolatedClip(self, name, decoder, keep_partial)
        except LostError as error:
            if decoder != "auto":
                raise VideoError(f"{name}: the decoder {error} while opening it") from error
            log.warning("%s: the decoder %s while opening it; once more by PyAV", name, error)
            before = error
        try:
            return IsolatedClip(self, name, "pyav", keep_partial)
        except LostError as error:
            raise VideoError(
                f"{name}: the decoder {before} while opening it, and PyAV {error}"
            ) from error


class IsolatedClip:
    """A video that is open in a decoding process; what ``Clip`` is in this one.

    Attributes:
        path: the file as it was given.
        size: (width, height) in pixels, after rotation.
        fps: average frames per second of the source.
        duration: seconds to the end of the last shown frame.
        source_frames: number of frames a player shows.
        partial: why the video ends before its time, else None.
        decoder: name of the decoder in use.
    """

    path: str
    size: tuple[int, int]
    fps: float
    duration: float
    source_frames: int
    partial: str | None
    decoder: str

    def __init__(self, home: Isolation, path: str, decoder: str, keep_partial: bool) -> None:
        self._home = home
        self._asked = decoder
        self._keep_partial = keep_partial
        self.path = path
        self._open: list[Generator[object]] = []
        self._abandoned = False
        self._process, facts = self._opened(decoder)
        self.__dict__.update(facts)

    def _opened(self, decoder: str) -> tuple[DecodingProcess, dict[str, Any]]:
        process = self._home.process()
        return process, process.open(self.path, decoder, self._keep_partial)

    def frame_count(self, fps: FrameRate = 25) -> int:
        """Number N of grid frames: those n with ``n / fps`` before the end."""
        try:
            return self._process.count(str(frame_rate(fps)))
        except LostError as error:
            raise VideoError(f"{self.path}: the decoder {error}") from error

    def frames(
        self, fps: FrameRate = 25, first: int = 0
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """As ``Clip.frames``.

        Raises:
            VideoError: the video is damaged, or decoding it hangs or crashes; the message names
                the time in the video.
        """
        frames = self._frames(frame_rate(fps), first)
        self._open.append(frames)
        return frames

    def _frames(self, rate: Fraction, first: int) -> Generator[tuple[float, NDArray[np.uint8]]]:
        at = first
        lost: list[str] = []
        while True:
            try:
                for n, picture, decoder in self._process.frames(str(rate), at, self.size):
                    self.decoder = decoder
                    yield n * rate.denominator / rate.numerator, picture
                    at = n + 1
                return
            except LostError as error:
                lost.append(f"{self.decoder} {error} at {float(at / rate):.1f} s")
                if self._abandoned or self._asked != "auto" or self.decoder != "decord":
                    raise VideoError(f"{self.path}: {' and '.join(lost)}") from error
            log.warning("%s: %s, PyAV goes on from there", self.path, lost[-1])
            self._go_on_by_pyav(lost)

    def _go_on_by_pyav(self, lost: list[str]) -> None:
        self._asked = "pyav"
        try:
            self._process, facts = self._opened("pyav")
        except LostError as error:
            raise VideoError(f"{self.path}: {lost[-1]}, and PyAV {error}") from error
        if facts["duration"] != self.duration or facts["size"] != self.size:
            raise VideoError(f"{self.path}: the file changed while it was read")
        self.decoder = facts["decoder"]

    def abandon(self) -> None:
        """End the wait for a frame that another thread is in: it raises VideoError there."""
        self._abandoned = True
        self._process.kill()

    def close(self) -> None:
        """Iterators over its frames end; the process stays for the next video."""
        for frames in self._open:
            frames.close()
        self._open.clear()

    def __enter__(self) -> "IsolatedClip":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


# Decoding processes that have nothing to do, each with the folder that relative paths start from.
_idle: list[tuple[str, Isolation]] = []


@contextlib.contextmanager
def open_isolated(
    path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
) -> Iterator[IsolatedClip]:
    """As ``open_video``, in a decoding process that this process keeps for the next video.

    Raises:
        VideoError: as ``Isolation.open`` and ``IsolatedClip.frames``.
    """
    here = os.getcwd()
    home = next((home for folder, home in _idle if folder == here), None)
    if home is None:
        home = Isolation()
    else:
        _idle.remove((here, home))
    try:
        with home.open(path, decoder, keep_partial=keep_partial) as clip:
            yield clip
    finally:
        _idle.append((here, home))
