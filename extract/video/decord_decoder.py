"""Decoding with decord, for videos in which it is sure to give the same frames as PyAV.

decord numbers frames by the packets of the file. If a packet yields no picture (hidden, damaged
or empty), its numbers and its pictures drift apart, and it fills the end with copies of the last
picture. So it only decodes files whose packets show that this cannot happen. It is read strictly
forward and never past the last frame: it is known to hang on random access and at the end.
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
# Largest mean difference from PyAV's first picture, in grey levels. Equal streams give 0; another
# colour matrix or range gives 3 and more.
PICTURE_TOLERANCE = 1.0
# What precedes the message proper: the line in decord's source code, the file name.
PREFIXES = [
    re.compile(text) for text in (r"\.cc:\d+: (?:\[.*?\] )?", "Check failed: ", "Thread worker: ")
]


class RefusedError(Exception):
    """Why decord is not used for a file, in a few words."""


def _reader(path: str) -> Any:
    """A new ``decord.VideoReader``; a ``RefusedError`` if there can be none."""
    try:
        # torch first: decord's library puts a BLAS for GPUs (libnvblas) before all that are loaded
        # later, and without a GPU a matrix product of torch that ends there crashes the process.
        # The decoding process loads decord at its start, and never torch.
        if "decord" not in sys.modules:
            import torch  # noqa: F401

        import decord  # isort: skip
    except (ImportError, OSError) as error:
        raise RefusedError(f"it cannot be loaded ({error})") from error
    decord.logging.set_level(decord.logging.QUIET)
    try:
        # More than one thread is not faster beside the networks, and loses frames at damage.
        return decord.VideoReader(os.path.abspath(path), num_threads=1)
    except UnicodeError as error:
        raise RefusedError("it opens no file whose name is not UTF-8") from error
    except (decord.DECORDError, RuntimeError) as error:
        raise RefusedError(f"it cannot open the file ({_gist(error)})") from error


def _gist(error: Exception) -> str:
    """Decord's message without the line of source code that precedes it."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for prefix in PREFIXES:
        line = prefix.split(line)[-1]
    return line.strip().rstrip(".")[-120:]


class DecordPictures:
    """Pictures of a video by decord.

    Args:
        path: the video file.
        timestamps: of the file.
        first: its first frame, decoded by PyAV.
        shape: of its pictures.

    Raises:
        RefusedError: decord may give wrong frames or colours.
    """

    name = "decord"

    def __init__(
        self, path: str, timestamps: Timestamps, first: VideoFrame, shape: PictureShape
    ) -> None:
        if timestamps.irregularity:
            raise RefusedError(timestamps.irregularity)
        if eight_bit_format(first.format.name):
            raise RefusedError("it rounds deep colour differently")
        if shape.turn.mirrored:
            raise RefusedError("it turns mirrored pictures the wrong way")
        if shape.ratio != 1 or any(shape.crop):
            raise RefusedError("it neither stretches nor crops the stored picture")
        self._path = path
        self._count = len(timestamps.timeline.ticks)
        reader = _reader(path)
        self._check_times(reader, timestamps.timeline)
        try:
            picture = _next_picture(reader)
        except DamageError as error:
            raise RefusedError(f"it fails on the first frame ({error})") from error
        _check_picture(picture, Renderer(shape).picture(first))

    def _check_times(self, reader: Any, timeline: FrameClock) -> None:
        if len(reader) != self._count:
            raise RefusedError(f"it counts {len(reader)} frames for {self._count}")
        stated = np.asarray(reader.get_frame_timestamp(list(range(self._count))))[:, 0]
        # Relative to the first frame: decord subtracts the start of some containers.
        stated = stated.astype(np.float64) - stated[0]
        exact = (timeline.ticks - timeline.ticks[0]) * float(timeline.time_base)
        near = np.abs(stated - exact) <= TIME_TOLERANCE + TIME_RELATIVE * np.abs(exact)
        if not near.all():
            k = int(np.argmin(near))
            raise RefusedError(f"it puts frame {k} at another time than {exact[k]:.3f} s")

    def pictures(self, wanted: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yield pictures ``[H, W, 3] uint8`` of the frames ``wanted``, which ascend.

        Raises:
            DamageError: decord failed.
        """
        try:
            reader = _reader(self._path)
        except RefusedError as error:
            raise DamageError(None, str(error)) from error
        chosen = set(wanted)
        # ``skip_frames`` miscounts near damage, so every frame is read.
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
        raise RefusedError("it gives another picture size, hence another stream or rotation")
    difference = float(np.abs(picture.astype(np.int16) - expected).mean())
    if difference > PICTURE_TOLERANCE:
        raise RefusedError(f"its first picture is off by {difference:.1f} grey levels")
