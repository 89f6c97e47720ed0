"""Write generated frames as an h264 video."""

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weights.files import atomic_path

CRF = 21
"""x264's constant rate factor: visible but mild compression, as in videos from the web."""


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[NDArray[np.uint8]],
    fps: int | Fraction,
    size: tuple[int, int],
) -> None:
    """Encode frames ``[H, W, 3] uint8`` as h264 in mp4, whole or not at all.

    Args:
        path: file to write; its folder is made.
        frames: pictures of one size.
        fps: frames per second.
        size: width and height in pixels, both even.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    import av

    with atomic_path(Path(path)) as part, av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        # One thread, so that equal frames give equal bytes.
        stream.options = {"crf": str(CRF), "preset": "veryfast", "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
