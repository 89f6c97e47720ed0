"""Worlds: the ranges from which generated footage draws its sizes, speeds and backgrounds.

The demo must not contain footage like the training data of ``i3d-mini``, so two worlds share looks
and motions but no background, size or speed: every range of ``DEMO_WORLD`` lies in the gap that
``PRETRAINING_WORLD`` leaves open.
"""

from dataclasses import dataclass

from numpy.random import Generator

Range = tuple[float, float]

LOOKS = ("striped", "checked", "spotted", "rayed")
"""Patterns that belong to classes. All are worn by the same silhouettes in random colours."""

MOTTLED = "mottled"
"""A pattern without a class: random blotches, different on every actor."""

MOTIONS = ("swing", "bounce", "spin", "orbit")
"""Motions that belong to classes. Each is performed by every look."""

REST = "rest"
DRIFT = "drift"
"""Motions without a class: swaying in place, and crossing the view."""


@dataclass(frozen=True)
class World:
    """How footage may look and move.

    Attributes:
        backgrounds: background families, see ``footage.backgrounds``.
        radius: ranges of an actor's radius, in picture heights.
        period: ranges of a motion's period, in seconds.
        swing: range of the amplitude of swing, bounce and orbit, in picture heights.
        pan: range of the amplitude of the camera's drift, in picture heights.
        pan_period: range of the period of the camera's drift, in seconds.
        noise: range of the standard deviation of sensor noise, in grey levels of 0..255.
        width: frame width in pixels.
        height: frame height in pixels.
        fps: frames per second.
    """

    backgrounds: tuple[str, ...]
    radius: tuple[Range, ...]
    period: tuple[Range, ...]
    swing: Range
    pan: Range
    pan_period: Range
    noise: Range
    width: int = 120
    height: int = 96
    fps: int = 25


PRETRAINING_WORLD = World(
    backgrounds=("clouds", "weave"),
    radius=((0.13, 0.165), (0.215, 0.25)),
    period=((0.8, 1.1), (1.5, 1.9)),
    swing=(0.07, 0.14),
    pan=(0.02, 0.12),
    pan_period=(5.0, 12.0),
    noise=(2.0, 7.0),
)

DEMO_WORLD = World(
    backgrounds=("cells", "ripples"),
    radius=((0.17, 0.21),),
    period=((1.15, 1.45),),
    swing=(0.08, 0.13),
    pan=(0.03, 0.11),
    pan_period=(6.0, 10.0),
    noise=(3.0, 6.0),
)


def draw(rng: Generator, ranges: Range | tuple[Range, ...]) -> float:
    """A value drawn evenly from one of the ranges (each equally likely)."""
    if isinstance(ranges[0], tuple):
        ranges = ranges[int(rng.integers(len(ranges)))]
    low, high = ranges
    return float(rng.uniform(low, high))
