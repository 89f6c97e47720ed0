"""Videos decoded in a separate process: a decoder that hangs or crashes costs one video at most.

A decoder may loop forever, crash, or use up all memory, so it runs in another process (``parent``
and ``child``). If that one is lost, the other decoder takes over once, from the last good frame.
"""

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import VideoError
from extract.video.clock import FrameRate, frame_rate
from extract.video.isolation.child import OPENER
from extract.video.isolation.parent import DecoderLostError, DecodingProcess

log = logging.getLogger(__name__)

STALL = 60.0
"""Seconds without a new frame after which a decoder counts as hung."""


class Isolation:
    """Opens videos in a decoding process, which is restarted when it is lost.

    Args:
        stall: seconds without a new frame after which a decoder is killed.
        opener: ``module:function`` that opens a video in the decoding process.
        limit: bytes of memory that the process may use; default: half of the machine's.
    """

    def __init__(
        self, stall: float = STALL, *, opener: str = OPENER, limit: int | None = None
    ) -> None:
        self._options = (stall, opener, limit)
        self._process: DecodingProcess | None = None

    def process(self) -> DecodingProcess:
        """The decoding process; a new one is started if there is none."""
        if self._process is None or self._process.gone:
            self._process = DecodingProcess(*self._options)
        return self._process

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def open(
        self, path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
    ) -> "IsolatedClip":
        """As ``open_video``; a ``VideoError`` also if both decoders hang or crash."""
        name, lost = os.fspath(path), ""
        for choice in ("auto", "pyav") if decoder == "auto" else (decoder,):
            try:
                return IsolatedClip(self, name, choice, keep_partial)
            except DecoderLostError as error:
                lost += f", and PyAV {error}" if lost else f"the decoder {error} while opening it"
                if choice == "auto":
                    log.warning("%s: %s; trying PyAV", name, lost)
        raise VideoError(f"{name}: {lost}")


class IsolatedClip:
    """A video that is open in a decoding process; the counterpart of ``Clip``.

    Attributes:
        path, size, fps, duration, source_frames, partial: as of ``Clip``.
        decoder: name of the decoder in use.
    """

    path: str
    size: tuple[int, int]
    fps: float
    duration: float
    source_frames: int
    partial: str | None
    decoder: str

    def __init__(self, isolation: Isolation, path: str, decoder: str, keep_partial: bool) -> None:
        self._isolation = isolation
        self._asked = decoder
        self._keep_partial = keep_partial
        self.path = path
        self._open: list[Generator[object]] = []
        self._process, facts = self._opened(decoder)
        self.__dict__.update(facts)

    def _opened(self, decoder: str) -> tuple[DecodingProcess, dict[str, Any]]:
        process = self._isolation.process()
        return process, process.open(self.path, decoder, self._keep_partial)

    def frame_count(self, fps: FrameRate = 25) -> int:
        """Number N of grid frames: those n with ``n / fps`` before the end."""
        try:
            return self._process.count(str(frame_rate(fps)))
        except DecoderLostError as error:
            raise VideoError(f"{self.path}: the decoder {error}") from error

    def frames(
        self, fps: FrameRate = 25, first: int = 0
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """As ``Clip.frames``; a ``VideoError`` also if decoding hangs or crashes."""
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
            except DecoderLostError as error:
                lost.append(f"{self.decoder} {error} at {float(at / rate):.1f} s")
                if self._asked != "auto" or self.decoder != "decord":
                    raise VideoError(f"{self.path}: {' and '.join(lost)}") from error
            log.warning("%s: %s, continuing with PyAV", self.path, lost[-1])
            self._switch_to_pyav(lost)

    def _switch_to_pyav(self, lost: list[str]) -> None:
        self._asked = "pyav"
        try:
            self._process, facts = self._opened("pyav")
        except DecoderLostError as error:
            raise VideoError(f"{self.path}: {lost[-1]}, and PyAV {error}") from error
        if facts["duration"] != self.duration or facts["size"] != self.size:
            raise VideoError(f"{self.path}: the file changed while it was read")
        self.decoder = facts["decoder"]

    def close(self) -> None:
        """End all iterators over its frames; the process stays for the next video."""
        for frames in self._open:
            frames.close()
        self._open.clear()

    def __enter__(self) -> "IsolatedClip":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class IsolationPool:
    """Decoding processes that wait for the next video; threads may share it."""

    def __init__(self, make: Callable[[], Isolation] = Isolation) -> None:
        self._make = make
        # By the working folder at their start, in which they resolve relative paths.
        self._idle: defaultdict[str, list[Isolation]] = defaultdict(list)

    @contextlib.contextmanager
    def open(
        self, path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
    ) -> Iterator[IsolatedClip]:
        """See ``open_isolated``."""
        idle = self._idle[os.getcwd()]
        try:
            isolation = idle.pop()
        except IndexError:
            isolation = self._make()
        try:
            with isolation.open(path, decoder, keep_partial=keep_partial) as clip:
                yield clip
        finally:
            idle.append(isolation)

    def close(self) -> None:
        """Kill the processes."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


pool = IsolationPool()
"""The decoding processes of this program."""


def open_isolated(
    path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
) -> contextlib.AbstractContextManager[IsolatedClip]:
    """As ``open_video``, in a decoding process that is kept for the next video."""
    return pool.open(path, decoder, keep_partial=keep_partial)
