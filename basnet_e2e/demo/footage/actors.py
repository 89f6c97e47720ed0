"""Actors: a look (pattern on a silhouette) and a motion (pose over time).

Looks share silhouettes and motions share speeds, so neither a still frame nor a silhouette in
motion tells a class: that takes the pattern and the motion together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from basnet_e2e.demo.footage.backgrounds import fractal
from basnet_e2e.demo.footage.colours import two_colours
from basnet_e2e.demo.footage.worlds import DRIFT, MOTTLED, REST, World, draw

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """The look of an actor.

    Attributes:
        pattern: name of the pattern.
        first: one of its two colours, ``[3] float32`` in 0..255.
        second: the other.
        frequency: pattern cycles per radius.
        aspect: height of the silhouette over its width.
        corner: exponent of the silhouette: 2 is an ellipse, larger values near a rectangle.
        angle: orientation at rest, in radians.
        blotches: ``[32, 32]`` random field of a mottled actor.
    """

    pattern: str
    first: Plane
    second: Plane
    frequency: float
    aspect: float
    corner: float
    angle: float
    blotches: Plane = field(repr=False)


@dataclass(frozen=True)
class Pose:
    """Offsets of an actor from its place in picture heights, and its angle in radians."""

    right: float = 0.0
    down: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True)
class Motion:
    """How one actor moves, see ``POSES``; lengths in picture heights, times in seconds."""

    name: str
    period: float
    amplitude: float
    turn: int
    heading: float


def random_look(rng: Generator, pattern: str) -> Look:
    """A look of the given pattern in random colours and shape."""
    first, second = two_colours(rng, contrast=(70.0, 150.0))
    return Look(
        pattern=pattern,
        first=first,
        second=second,
        frequency=float(rng.uniform(0.9, 1.2)),
        aspect=float(rng.uniform(0.8, 1.25)),
        corner=float(rng.choice([2.0, 2.0, 3.0, 5.0])),
        angle=float(rng.uniform(0, 2 * np.pi)),
        blotches=fractal(rng, 32, 32, 1.4),
    )


def random_motion(rng: Generator, name: str, world: World) -> Motion:
    """A motion of the given name with speed, extent and sense drawn from the world's ranges."""
    return Motion(
        name=name,
        period=draw(rng, world.period),
        amplitude=draw(rng, world.swing),
        turn=int(rng.choice([-1, 1])),
        heading=float(rng.uniform(0, 2 * np.pi)),
    )


def _rest(motion: Motion, time: float) -> Pose:
    """A slow sway, much slower and smaller than any class motion."""
    phase = 2 * np.pi * time / (4 * motion.period)
    reach = motion.amplitude / 6
    return Pose(reach * np.sin(phase), reach * np.sin(0.7 * phase))


def _drift(motion: Motion, time: float) -> Pose:
    """A straight walk to and fro at constant speed, one way taking several seconds."""
    way = 2 * motion.amplitude
    place = way * (1 - abs((time / (2 * motion.period)) % 2 - 1))
    return Pose(place * np.cos(motion.heading), place * np.sin(motion.heading))


def _swing(motion: Motion, time: float) -> Pose:
    return Pose(right=motion.turn * motion.amplitude * np.sin(2 * np.pi * time / motion.period))


def _bounce(motion: Motion, time: float) -> Pose:
    return Pose(down=-1.6 * motion.amplitude * abs(np.sin(np.pi * time / motion.period)))


def _spin(motion: Motion, time: float) -> Pose:
    return Pose(angle=motion.turn * 2 * np.pi * time / (1.3 * motion.period))


def _orbit(motion: Motion, time: float) -> Pose:
    phase = 2 * np.pi * time / motion.period
    reach = 0.8 * motion.amplitude
    return Pose(motion.turn * reach * np.sin(phase), reach * (np.cos(phase) - 1))


POSES: dict[str, Callable[[Motion, float], Pose]] = {
    REST: _rest,
    DRIFT: _drift,
    "swing": _swing,
    "bounce": _bounce,
    "spin": _spin,
    "orbit": _orbit,
}


def pose(motion: Motion, time: float) -> Pose:
    """Pose of a motion ``time`` seconds after it began; at 0 every motion is at its place."""
    return POSES[motion.name](motion, time)


def paint(
    picture: Plane, look: Look, *, x: float, y: float, radius: float, angle: float, opacity: float
) -> None:
    """Draw a look into a picture.

    Args:
        picture: ``[H, W, 3] float32`` in 0..255, changed in place.
        look: what to draw.
        x: column of the centre, in pixels.
        y: row of the centre, in pixels.
        radius: radius in pixels.
        angle: turn against the orientation at rest, in radians.
        opacity: 0 invisible, 1 solid.
    """
    height, width = picture.shape[:2]
    reach = int(np.ceil(1.5 * radius)) + 1
    top, bottom = max(0, int(y) - reach), min(height, int(y) + reach + 1)
    left, right = max(0, int(x) - reach), min(width, int(x) + reach + 1)
    if top >= bottom or left >= right:
        return
    down = ((np.arange(top, bottom, dtype=np.float32) - y) / radius)[:, None]
    across = ((np.arange(left, right, dtype=np.float32) - x) / radius)[None]
    cos, sin = np.cos(look.angle + angle), np.sin(look.angle + angle)
    u, v = across * cos + down * sin, down * cos - across * sin
    silhouette = np.abs(u) ** look.corner + np.abs(v / look.aspect) ** look.corner
    # The silhouette's edge is one pixel soft: its implicit radius is turned into pixels.
    cover = np.clip((1 - silhouette ** (1 / look.corner)) * radius + 0.5, 0, 1) * opacity
    mix = PATTERNS[look.pattern](look, u, v, radius)[..., None]
    patch = picture[top:bottom, left:right]
    patch += cover[..., None] * (look.first + (look.second - look.first) * mix - patch)


def _edge(wave: Plane, slope: float) -> Plane:
    """A wave in -1..1 as a two-colour pattern in 0..1 with edges about a pixel wide."""
    return np.clip(0.5 + wave * slope, 0, 1)


def _striped(look: Look, u: Plane, v: Plane, radius: float) -> Plane:
    return _edge(np.sin(2 * np.pi * look.frequency * u), 0.15 * radius)


def _checked(look: Look, u: Plane, v: Plane, radius: float) -> Plane:
    step = np.pi * look.frequency * 1.3
    return _edge(np.sin(step * u) * np.sin(step * v), 0.15 * radius)


def _spotted(look: Look, u: Plane, v: Plane, radius: float) -> Plane:
    step = 2 * np.pi * look.frequency
    other = (u + v * np.float32(3**0.5)) / 2
    third = (u - v * np.float32(3**0.5)) / 2
    waves = np.cos(step * u) + np.cos(step * other) + np.cos(step * third)
    return _edge(waves / 3 - 0.2, 0.15 * radius)


def _rayed(look: Look, u: Plane, v: Plane, radius: float) -> Plane:
    arms = 3 if look.frequency < 1.05 else 4
    return _edge(np.sin(arms * np.arctan2(v, u)), 0.15 * radius)


def _mottled(look: Look, u: Plane, v: Plane, radius: float) -> Plane:
    size = len(look.blotches)
    rows = np.clip((v + 1.3) * size / 2.6, 0, size - 1).astype(np.intp)
    columns = np.clip((u + 1.3) * size / 2.6, 0, size - 1).astype(np.intp)
    return look.blotches[rows, columns]


PATTERNS: dict[str, Callable[[Look, Plane, Plane, float], Plane]] = {
    "striped": _striped,
    "checked": _checked,
    "spotted": _spotted,
    "rayed": _rayed,
    MOTTLED: _mottled,
}
