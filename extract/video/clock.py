"""The even time grid: which decoded frame a player would show at each multiple of 1/fps seconds.

Exact rational arithmetic on presentation timestamps: over a long video the rounding of an average
frame rate would move frames by whole snippets.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError

# A frame stamped up to this much after a grid time is the one shown at it: containers round their
# timestamps (Matroska to whole milliseconds), and a 25 fps video must pass through untouched.
TOLERANCE = Fraction(1, 1000)

FrameRate = int | float | str | Fraction


def frame_rate(fps: FrameRate) -> Fraction:
    """Frames per second as an exact number.

    A float means the decimal number it prints as (29.97 is 2997/100); text may be a decimal or a
    ratio (``30000/1001``).

    Raises:
        ExtractError: not a number above zero.
    """
    try:
        rate = Fraction(str(fps) if isinstance(fps, float) else fps)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        rate = Fraction(0)
    if rate <= 0:
        raise ExtractError(f"frames per second must be a number above 0, got {fps!r}")
    return rate


@dataclass(frozen=True)
class FrameClock:
    """When each decodable frame of a video is shown.

    Attributes:
        ticks: ``[K] int64``, presentation timestamps, strictly increasing, in units of
            ``time_base``; every frame here is one that a player shows.
        time_base: seconds per tick.
        origin: seconds on the container's clock at which the player's clock starts.
        last: duration of the last frame in seconds.
    """

    ticks: NDArray[np.int64]
    time_base: Fraction
    origin: Fraction
    last: Fraction

    @property
    def start(self) -> Fraction:
        """Seconds on the container's clock at which the first frame is presented."""
        return int(self.ticks[0]) * self.time_base

    @property
    def duration(self) -> Fraction:
        """Seconds from the clock's start to the end of the last shown frame."""
        return self.time(len(self.ticks) - 1) + self.last

    def time(self, k: int) -> Fraction:
        """Seconds on the player's clock at which frame ``k`` appears."""
        return int(self.ticks[k]) * self.time_base - self.origin

    def length(self, fps: Fraction) -> int:
        """Number of grid frames: those n with ``n / fps`` before the end."""
        return -(-self.duration * fps // 1)

    def shown(self, fps: Fraction) -> NDArray[np.int64]:
        """For each grid frame n the frame ``max{k : time(k) <= n / fps + 1 ms}``, ``[N] int64``.

        Before the first frame appears, it is the first one.
        """
        step = 1 / (fps * self.time_base)
        offset = (TOLERANCE + self.origin) / self.time_base
        scale = step.denominator * offset.denominator
        # Python integers: numerators of odd rates over long videos do not fit in 64 bits.
        per_frame, start = int(step * scale), int(offset * scale)
        limits = [(n * per_frame + start) // scale for n in range(self.length(fps))]
        found = np.searchsorted(self.ticks, np.array(limits, np.int64), side="right") - 1
        return np.maximum(found, 0)


def median_spacing(ticks: NDArray[np.int64], time_base: Fraction) -> Fraction | None:
    """Median distance of neighbouring frames in seconds; None for a single frame."""
    if len(ticks) < 2:
        return None
    spacing = np.sort(np.diff(ticks))
    return int(spacing[len(spacing) // 2]) * time_base
