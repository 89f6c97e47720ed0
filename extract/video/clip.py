"""A video as a sequence of upright RGB frames on an even grid, with exact times."""

import logging
import os
import weakref
from collections.abc import Generator, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError, VideoError
from extract.video.clock import FrameRate, frame_rate
from extract.video.decord_decoder import DecordPictures, RefusedError
from extract.video.pyav_decoder import DamageError, PyAVPictures, first_picture
from extract.video.rendering import Renderer
from extract.video.timestamps import Timestamps, read_timestamps

log = logging.getLogger(__name__)

DECODERS = ("auto", "decord", "pyav")

# decord decodes ahead of its reader without limit: on a busy machine it may hold the pictures of
# the whole video. ``auto`` uses it for videos whose pictures fit into this many bytes.
DECORD_BYTES = 256 << 20

Pictures = DecordPictures | PyAVPictures


class Clip:
    """An open video, from ``open_video``; a context manager.

    Attributes:
        path: the file as it was given.
        size: (width, height) of the upright picture in square pixels.
        fps: average frames per second of the source; informative, nothing is computed from it.
        duration: seconds from the start of the player's clock to the end of the last shown frame.
        source_frames: number of frames a player shows.
        partial: why the video ends early (with ``keep_partial``), else None.
    """

    def __init__(
        self,
        path: str,
        timestamps: Timestamps,
        size: tuple[int, int],
        active: Pictures,
        fallback: Pictures | None,
    ) -> None:
        timeline = timestamps.timeline
        self.path = path
        self.size = size
        self.duration = float(timeline.duration)
        self.source_frames = len(timeline.ticks)
        self.fps = float(self.source_frames / (timeline.duration - timeline.time(0)))
        self.partial = timestamps.partial
        self._timeline = timeline
        self._active = active
        self._fallback = fallback
        self._open: weakref.WeakSet[Generator[object]] = weakref.WeakSet()

    @property
    def decoder(self) -> str:
        """Name of the decoder in use: ``decord`` or ``pyav``."""
        return self._active.name

    def frame_count(self, fps: FrameRate = 25) -> int:
        """Number N of grid frames: those n with ``n / fps`` before the end."""
        return self._timeline.length(frame_rate(fps))

    def frames(
        self, fps: FrameRate = 25, first: int = 0
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Decode frames lazily on an even grid; may be called repeatedly.

        Grid frame n is what a player shows ``n / fps`` seconds after the start: the last frame
        whose time is at most that (plus one millisecond for rounded timestamps), or the first one
        before any has appeared.

        Args:
            fps: grid frames per second; a number, a ``Fraction`` or text (``30000/1001``).
            first: grid frame to begin with; earlier ones are decoded but not yielded.

        Yields:
            ``(time, frame)``: seconds ``n / fps`` and ``[H, W, 3] uint8`` RGB. A frame shown at
            several grid times is the same array each time: do not write into it.

        Raises:
            ExtractError: ``fps`` is not a number above zero.
            VideoError: the video is damaged; the message names the time.
        """
        frames = self._frames(frame_rate(fps), first)
        self._open.add(frames)
        return frames

    def _frames(self, rate: Fraction, first: int) -> Generator[tuple[float, NDArray[np.uint8]]]:
        shown = self._timeline.shown(rate)[first:]
        if not len(shown):
            return
        pictures = self._pictures(np.unique(shown).tolist())
        picture, held = None, -1
        for n, k in enumerate(shown.tolist(), start=first):
            if k != held:
                picture, held = next(pictures), k
            assert picture is not None
            yield n * rate.denominator / rate.numerator, picture

    def _pictures(self, wanted: list[int]) -> Iterator[NDArray[np.uint8]]:
        """Pictures by the active decoder; by the fallback after that fails."""
        done = 0
        try:
            for picture in self._active.pictures(wanted):
                done += 1
                yield picture
        except DamageError as error:
            time = float(self._timeline.time(wanted[done]))
            if self._fallback is None:
                raise VideoError(
                    f"{self.path}: decoding failed at {time:.1f} s ({error.reason}); "
                    "--keep-partial keeps what comes before"
                ) from error
            text = "%s: decord failed at %.1f s (%s), continuing with PyAV"
            log.warning(text, self.path, time, error.reason)
            self._active, self._fallback = self._fallback, None
            yield from self._pictures(wanted[done:])

    def close(self) -> None:
        """Close the file and end all iterators over its frames."""
        for frames in list(self._open):
            frames.close()

    def __enter__(self) -> "Clip":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_video(
    path: str | os.PathLike[str], decoder: str = "auto", *, keep_partial: bool = False
) -> Clip:
    """Open a video: find its frames, their times, and the decoder to use.

    A truncated file and damage found here are errors, and so is damage met later while iterating: a
    damaged video never silently yields fewer frames.

    Args:
        path: the video file.
        decoder: ``decord``, ``pyav``, or ``auto``: decord for short videos of kinds for which it is
            sure to give the same frames as PyAV, and PyAV for all others.
        keep_partial: let the video end at the last good frame before the first damage
            (``Clip.partial`` then says why). Costs one more pass of decoding.

    Raises:
        ExtractError: the decoder does not exist.
        VideoError: the file does not exist, is not a video, has no frame that a player would show,
            is truncated or damaged, or the decoder asked for by name cannot decode it.
    """
    name = os.fspath(path)
    if decoder not in DECODERS:
        raise ExtractError(f"unknown decoder {decoder!r}, choose one of {', '.join(DECODERS)}")
    _check_file(name)
    timestamps = read_timestamps(name, keep_partial=keep_partial)
    first, shape = first_picture(name)
    active: Pictures = PyAVPictures(
        name, timestamps.timeline, timestamps.skip, shape, partial=bool(timestamps.partial)
    )
    fallback = None
    height, width = Renderer(shape).picture(first).shape[:2]
    fits = len(timestamps.timeline.ticks) * height * width * 3 <= DECORD_BYTES
    if decoder == "decord" or (decoder == "auto" and fits):
        try:
            other = DecordPictures(name, timestamps, first, shape)
        except RefusedError as error:
            if decoder == "decord":
                raise VideoError(f"{name}: decord cannot be used: {error}") from error
            log.debug("%s: decoded by PyAV, not decord: %s", name, error)
        else:
            active, fallback = other, active if decoder == "auto" else None
    clip = Clip(name, timestamps, (width, height), active, fallback)
    facts = (name, clip.source_frames, width, height, clip.duration, clip.decoder)
    log.debug("%s: %d frames of %dx%d in %.3f s, decoded by %s", *facts)
    if clip.partial:
        log.warning("%s: %s; kept what comes before", name, clip.partial)
    return clip


def _check_file(path: str) -> None:
    if not os.path.exists(path):
        if os.path.islink(path):
            raise VideoError(f"{path}: a link to {os.readlink(path)}, which does not exist")
        raise VideoError(f"{path}: no such file")
    if os.path.isdir(path):
        raise VideoError(f"{path}: this is a folder, not a video")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    if empty:
        raise VideoError(f"{path}: the file is empty")
