"""Encode pictures as an H.264 file, with the sound of the video they come from."""

import contextlib
import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from weights.files import atomic_path

log = logging.getLogger(__name__)
CRF = 18
"""x264's constant rate factor: visually lossless."""
BT709, LIMITED = 1, 1


class Writer:
    """One video being encoded. Made by :func:`encoded_video`."""

    def __init__(
        self, container: OutputContainer, size: tuple[int, int], rate: Fraction, sound: "_Sound"
    ) -> None:
        # 4:2:0 chroma needs even sizes: an odd last row or column is dropped.
        self._width, self._height = (max(side - side % 2, 2) for side in size)
        self._rate, self._container, self._sound = rate, container, sound
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        # One thread, so that equal pictures give equal bytes.
        stream.options = {"crf": str(CRF), "preset": "veryfast", "threads": "1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = BT709, LIMITED
        self._stream = stream
        self._count = 0
        sound.begin(container)

    @property
    def empty(self) -> bool:
        """Whether it has no picture yet."""
        return not self._count

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Add the next picture ``[H, W, 3] uint8``."""
        even = np.ascontiguousarray(picture[: self._height, : self._width])
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        self._container.mux(self._stream.encode(frame))
        self._count += 1
        self._sound.up_to(self._container, self._count / self._rate)

    def finish(self) -> None:
        """Write what the encoder and the sound still buffer."""
        self._container.mux(self._stream.encode())
        self._sound.up_to(self._container, self._count / self._rate)


@contextlib.contextmanager
def encoded_video(
    path: Path,
    size: tuple[int, int],
    rate: Fraction,
    source: Path,
    start: Fraction,
) -> Iterator[Writer]:
    """A video to add pictures to; the file appears when the block ends without an error.

    Args:
        path: file to write, mp4.
        size: width and height of the pictures.
        rate: pictures per second.
        source: video whose sound is copied for as long as there are pictures.
        start: time of the first picture in seconds on the container's clock of ``source``.
    """
    with (
        atomic_path(path) as part,
        av.open(str(part), "w", format="mp4") as container,
        contextlib.closing(_Sound(source, start)) as sound,
    ):
        writer = Writer(container, size, rate, sound)
        yield writer
        writer.finish()


class _Sound:
    """Copies the packets of a video's sound from a given time on."""

    def __init__(self, source: Path, start: Fraction) -> None:

        self._read = av.open(os.path.abspath(source), metadata_errors="replace")
        self._source, self._start = source, start
        self._packets: Iterator[Any] = iter(())
        self._held: Any = None
        self._stream: Any = None

    def begin(self, container: OutputContainer) -> None:
        """Add a stream if there is sound that the container can hold."""
        found = self._read.streams.best("audio")
        if found is None or found.codec_context is None:
            return
        if found.codec.canonical_name not in container.supported_codecs:
            log.warning("%s: mp4 cannot hold its %s sound, dropped", self._source, found.codec.name)
            return
        assert found.time_base is not None
        self._stream = container.add_stream_from_template(found)
        self._base, self._first = found.time_base, round(self._start / found.time_base)
        self._read.seek(self._first, stream=found)
        self._packets = self._read.demux(found)

    def up_to(self, container: OutputContainer, seconds: Fraction) -> None:
        """Write the packets that begin before a time in the copy."""
        limit = self._first + seconds / self._base if self._stream else 0
        while self._stream is not None:
            packet = self._held or next(self._packets, None)
            self._held = packet
            if packet is None or packet.pts is None or packet.pts >= limit:
                return
            self._held = None
            if packet.pts < self._first:
                continue
            packet.pts -= self._first
            packet.dts = packet.pts
            packet.stream = self._stream
            container.mux(packet)

    def close(self) -> None:
        """Close the source."""
        self._read.close()
