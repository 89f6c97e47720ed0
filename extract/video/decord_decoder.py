"""Decoding with decord, for videos in which it is sure to give the frames that PyAV gives.

decord numbers frames by the packets of the file. Where a packet yields no picture (hidden, damaged
or empty) its numbers and its pictures drift apart, and it fills the end up with copies of the last
one. So it decodes only kinds of files in which a look at the packets shows that this cannot be. It
is read strictly forward and never past the last frame: random access and reading on are where it is
known to hang.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from extract.video.clock import FrameClock
from extract.video.heartbeat import beat
from extract.video.pyav_decoder import DamageError
from extract.video.rendering import PictureShape, Renderer, eight_bit_format
from extract.video.timestamps import Timestamps

log = logging.getLogger(__name__)

# decord states times as 32-bit floats: a millisecond at 2 hours.
TIME_TOLERANCE = 1e-3
TIME_RELATIVE = 2e-7
# Largest mean difference, in grey levels, of the first picture from PyAV's. Equal streams give 0;
# another colour matrix or range gives 3 and more.
PICTURE_TOLERANCE = 1.0
# What stands before the message proper: the place in decord's source, the file's name.
PLACES = [
    re.compile(text) for text in (r"\.cc:\d+: (?:\[.*?\] )?", "Check failed: ", "Thread worker: ")
]


class RefusedError(Exception):
    """Why decord is not used for a file, in a few words."""


def _reader(path: str) -> Any:
    """A fresh ``decord.VideoReader``.

    Raises:
        RefusedError: decord is not installed or cannot open the file.
    """
    try:
        # torch first: decord's library puts a BLAS for GPUs (libnvblas) before all that are loaded
        # later, and a matrix product of torch that ends there crashes the process without a GPU.
        # The decoding process loads decord at its start, and no torch.
        if "decord" not in sys.modules:
            import torch  # noqa: F401

        import decord  # isort: skip
    except (ImportError, OSError) as error:
        raise RefusedError(f"it cannot be loaded ({error})") from error
    decord.logging.set_level(decord.logging.QUIET)
    try:
        # One thread: more of them are not faster beside the networks, and lose frames at damage.
        return decord.VideoReader(os.path.abspath(path), num_threads=1)
    except UnicodeError as error:
        raise RefusedError("it opens no file whose name is not UTF-8") from error
    except (decord.DECORDError, RuntimeError) as error:
        raise RefusedError(f"it cannot open the file ({_gist(error)})") from error


def _gist(error: Exception) -> str:
    """The message of decord without the places in its source code that come before it."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for place in PLACES:
        line = place.split(line)[-1]
    return line.strip().rstrip(".")[-120:]


class DecordPictures:
    """Pictures of a video by decord.

    Args:
        path: the video file.
        reading: its timeline.
        first: its first frame as PyAV decodes it.
        shape: form of its pictures.

    Raises:
        RefusedError: decord would give other frames or colours than the file holds.
    """

    name = "decord"

    def __init__(
        self, path: str, reading: Timestamps, first: VideoFrame, shape: PictureShape
    ) -> None:
        if reading.oddity:
            raise RefusedError(reading.oddity)
        if eight_bit_format(first.format.name):
            raise RefusedError("it rounds deep colour differently")
        if shape.turn.mirrored:
            raise RefusedError("it turns mirrored pictures the wrong way")
        if shape.ratio != 1 or any(shape.crop):
            raise RefusedError("it shows stored pixels, neither stretched nor cropped")
        self._path = path
        self._count = len(reading.timeline.ticks)
        reader = _reader(path)
        self._check_times(reader, reading.timeline)
        try:
            picture = _next_picture(reader)
        except DamageError as error:
            raise RefusedError(f"it fails on the first frame ({error})") from error
        _check_picture(picture, Renderer(shape).picture(first))

    def _check_times(self, reader: Any, timeline: FrameClock) -> None:
        if len(reader) != self._count:
            raise RefusedError(f"it counts {len(reader)} frames for {self._count}")
        stated = np.asarray(reader.get_frame_timestamp(list(range(self._count))))[:, 0]
        # From the first frame on: decord subtracts the start of some containers.
        stated = stated.astype(np.float64) - stated[0]
        exact = (timeline.ticks - timeline.ticks[0]) * float(timeline.time_base)
        near = np.abs(stated - exact) <= TIME_TOLERANCE + TIME_RELATIVE * np.abs(exact)
        if not near.all():
            k = int(np.argmin(near))
            raise RefusedError(f"it takes frame {k} to be at another time than {exact[k]:.3f} s")

    def pictures(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Pictures ``[H, W, 3] uint8`` of the frames ``wanted`` (ascending), one after the other.

        Raises:
            DamageError: decord failed.
        """
        try:
            reader = _reader(self._path)
        except RefusedError as error:
            raise DamageError(None, str(error)) from error
        chosen = set(wanted)
        # Skipping frames (``skip_frames``) miscounts near damaged places, so all of them are read.
        for k in range(max(wanted) + 1):
            picture = _next_picture(reader)
            if k in chosen:
                yield picture


def _next_picture(reader: Any) -> NDArray[np.uint8]:
    import decord

    try:
        picture: NDArray[np.uint8] = reader.next().asnumpy()
    except StopIteration as error:
        raise DamageError(None, "it found fewer frames than the file has") from error
    except (decord.DECORDError, RuntimeError) as error:
        raise DamageError(None, _gist(error)) from error
    beat()
    return picture


def _check_picture(picture: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    if picture.shape != expected.shape:
        raise RefusedError("it gives another picture size, so another stream or rotation")
    difference = _distance(picture, expected)
    if difference > PICTURE_TOLERANCE:
        raise RefusedError(f"its first picture is off by {difference:.1f} grey levels")


def _distance(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(picture.astype(np.int16) - other).mean())
