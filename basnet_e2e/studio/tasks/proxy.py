"""A copy of a video that every browser plays: H.264 on the same clock as the intervals."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from basnet_e2e.interchange.clips.encode import encoded_video
from basnet_e2e.interchange.media import exact_rate
from extract.video.isolation.isolated_clip import open_isolated
from extract.video.timestamps import read_timestamps

WIDEST, HIGHEST = 1280, 720  # pixels; more does not help to see what happens
FASTEST = Fraction(60)  # frames per second


def write_proxy(source: Path, target: Path, on_frame: Callable[[int, int], None]) -> None:
    """Write the copy, whole or not at all: frame n shows what the video shows at n / rate.

    Args:
        source: the video.
        target: mp4 file.
        on_frame: called with the frames done and their number.

    Raises:
        VideoError: the video is damaged; what comes before the damage is not written either.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    origin = read_timestamps(str(source)).timeline.origin
    with open_isolated(source) as clip:
        rate = min(exact_rate(clip.fps), FASTEST)
        count, size = clip.frame_count(rate), _smaller(clip.size)
        with encoded_video(target, size, rate, source, origin) as writer:
            for number, (_, picture) in enumerate(clip.frames(rate), start=1):
                writer.add(_scaled(picture, size))
                if number % 25 == 0 or number == count:
                    on_frame(number, count)


def _smaller(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, WIDEST / size[0], HIGHEST / size[1])
    return max(2, round(size[0] * scale)), max(2, round(size[1] * scale))


def _scaled(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture ``[H, W, 3] uint8`` at another size."""
    if picture.shape[1::-1] == size:
        return picture

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return np.asarray(frame.reformat(*size).to_ndarray(format="rgb24"), np.uint8)
