"""A flow field as a colour picture: hue is direction, saturation is speed (Baker et al. 2011)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from extract.errors import ExtractError

# Steps between red, yellow, green, cyan, blue and magenta on the Middlebury wheel, whose authors
# chose them so that equal angles look equally different: (steps, channel, +1 rising or -1 falling).
WHEEL_STEPS = ((15, 1, 1), (6, 0, -1), (4, 2, 1), (11, 1, -1), (13, 0, 1), (6, 2, -1))
BEYOND = 0.75
"""Brightness of motion above the limit, to tell it from motion at the limit."""


def colour_wheel() -> NDArray[np.float64]:
    """The 55 colours of the Middlebury wheel, ``[55, 3]`` in 0..1, starting at red."""
    colour = np.array([1.0, 0.0, 0.0])
    wheel = []
    for steps, channel, direction in WHEEL_STEPS:
        for step in range(steps):
            moved = colour.copy()
            moved[channel] += direction * step / steps
            wheel.append(moved)
        colour[channel] += direction
    return np.array(wheel)


def flow_picture(flow: ArrayLike, limit: float | None = None) -> NDArray[np.uint8]:
    """Colour picture of a flow field.

    Args:
        flow: ``[2, H, W]``, pixels per frame, u (right) and v (down).
        limit: the speed shown in full colour, in pixels per frame (default: the field's largest).
            Faster motion is darker. No motion is white.

    Returns:
        ``[H, W, 3] uint8``, RGB. Motion to the right is red, down yellow, left blue-green.

    Raises:
        ExtractError: a wrong shape, a limit not above 0, or a value that is not finite.
    """
    field = np.asarray(flow, dtype=np.float64)
    if field.ndim != 3 or len(field) != 2:
        raise ExtractError(f"a flow picture needs a field [2, H, W], got shape {field.shape}")
    if not np.isfinite(field).all():
        raise ExtractError("a flow picture needs finite values")
    if limit is not None and not limit > 0:
        raise ExtractError("the speed shown in full colour must be above 0")
    speed = np.hypot(field[0], field[1])
    scale = limit or speed.max(initial=0) or 1.0
    speed = (speed / scale)[..., None]
    wheel = colour_wheel()
    turn = np.arctan2(field[1], field[0]) / (2 * np.pi) % 1 * len(wheel)
    low = turn.astype(int) % len(wheel)
    part = (turn - np.floor(turn))[..., None]
    hue = (1 - part) * wheel[low] + part * wheel[(low + 1) % len(wheel)]
    colour = np.where(speed <= 1, 1 - speed * (1 - hue), BEYOND * hue)
    return np.rint(255 * colour).astype(np.uint8)
