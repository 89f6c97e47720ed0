"""A copy of the video with the labels of its intervals drawn into the pictures."""

import functools
import importlib.util
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from basnet_e2e.display import colour
from basnet_e2e.interchange.clips.encode import encoded_video
from basnet_e2e.interchange.media import exact_rate
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.intervals import Localization
from extract.video.isolation.isolated_clip import open_isolated
from extract.video.timestamps import read_timestamps

FONT = "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf"  # comes with matplotlib
LINES = 16  # of text that would fill the height of a picture
SMALLEST = 10  # pixels


def burn(
    result: Localization,
    source: Path,
    output: Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write an H.264 copy of a video that shows the label and score of each action while it lasts.

    Args:
        result: intervals to draw, one colour per class.
        source: the video.
        output: mp4 file.
        progress: called with the number of frames done and in all.

    Raises:
        VideoError: the video is damaged.
    """
    found = in_time(result)
    colours = {label: colour(k) for k, label in enumerate(dict.fromkeys(f.label for f in found))}
    origin = read_timestamps(str(source)).timeline.origin
    with open_isolated(source) as clip:
        rate = exact_rate(clip.fps)
        count = clip.frame_count(rate)
        with encoded_video(output, clip.size, rate, source, origin) as writer:
            for number, (_, picture) in enumerate(clip.frames(rate), start=1):
                time = Fraction(number - 1) / rate
                lines = tuple(
                    (f"{one_line(one.label)}  {one.score:.2f}", colours[one.label])
                    for one in found
                    if one.start <= time < one.end
                )
                writer.add(_drawn(picture, lines))
                if progress:
                    progress(number, count)


def _drawn(picture: NDArray[np.uint8], lines: tuple[tuple[str, str], ...]) -> NDArray[np.uint8]:
    """The picture with the lines in its upper left corner; the same array if there are none."""
    if not lines:
        return picture
    height, width = picture.shape[:2]
    label = _label(lines, width, height)
    drawn = picture.copy()
    drawn[: label.shape[0], : label.shape[1]] = label
    return drawn


@functools.lru_cache(maxsize=64)
def _label(lines: tuple[tuple[str, str], ...], width: int, height: int) -> NDArray[np.uint8]:
    """Lines of white text, each on its colour, ``[h, w, 3] uint8`` within the picture."""
    font = _font(max(height // LINES, SMALLEST))
    pad = max(int(font.size) // 4, 2)
    row = int(font.size) + 3 * pad
    widest = max(int(font.getlength(text)) for text, _ in lines) + 2 * pad
    image = Image.new("RGB", (min(widest, width), min(row * len(lines), height)))
    draw = ImageDraw.Draw(image)
    for index, (text, fill) in enumerate(lines):
        top = index * row
        draw.rectangle((0, top, image.width, top + row - 1), fill=fill)
        draw.text((pad, top + pad), text, font=font, fill="white")
    return np.asarray(image, np.uint8)


@functools.lru_cache(maxsize=8)
def _font(size: int) -> FreeTypeFont:

    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.submodule_search_locations
    return ImageFont.truetype(str(Path(spec.submodule_search_locations[0]) / FONT), size)
