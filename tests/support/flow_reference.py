"""What optical flow is measured against: listed pairs of real video, known motion, and OpenCV."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from picture_reference import grey, quantize_flow, resize_short_side

from extract.video.clip import open_video

SIDE = 256
FPS = Fraction(25)
# Video and the grid frames (25 a second) whose motion to the next frame is computed.
PAIRS = (
    ("clips/clean_and_jerk.mp4", (110, 262)),
    ("clips/walking_the_dog.mp4", (100, 240)),
    ("clips/arm_wrestling.mp4", (70, 150)),
    ("clips/archery.avi", (32, 78)),
    ("clips/flipping_pancake.mkv", (77, 230)),
    ("clips/basketball.mp4", (53, 128)),
    ("clips/bikes.mp4", (62, 150)),
    ("clips/carphone.mp4", (30, 72)),
    ("clips/plastering_vfr.avi", (240,)),
    ("odd/nasa_13013.mp4", (195,)),
    ("spliced/test/test_000.mp4", (100, 360)),
    ("spliced/train/train_020.mp4", (240,)),
)
LEVEL = 2 / 255
MOVING = 1.0
"""Mean motion in pixels per frame above which a pair counts as moving."""


@dataclass(frozen=True)
class Pair:
    """Two grey frames ``[2, H, W] uint8`` and where they are from."""

    name: str
    frames: NDArray[np.uint8]


def real_pairs(folder: Path, every: int = 1) -> Iterator[Pair]:
    """The listed pairs, read by the project's own decoder; ``every`` n-th of them."""
    listed = [(name, n) for name, numbers in PAIRS for n in numbers][::every]
    for name in dict.fromkeys(name for name, _ in listed):
        wanted = [n for video, n in listed if video == name]
        grid = {m for n in wanted for m in (n, n + 1)}
        found = {}
        with open_video(folder / name) as clip:
            for n, (_, frame) in enumerate(clip.frames(FPS)):
                if n in grid:
                    found[n] = grey(resize_short_side(frame, SIDE))
                if n >= max(grid):
                    break
        for n in wanted:
            yield Pair(f"{name}:{n}", np.stack([found[n], found[n + 1]]))


@lru_cache(maxsize=2)
def _solver(median: bool) -> Any:
    optflow: Any = cv2.optflow
    solver = optflow.DualTVL1OpticalFlow_create()
    if not median:
        solver.setMedianFiltering(1)
    return solver


def opencv_flow(frames: NDArray[np.uint8], median: bool = False) -> NDArray[np.float32]:
    """OpenCV's flow of a pair with its defaults, ``[2, H, W]``; by default without its median."""
    return _solver(median).calc(frames[0], frames[1], None).transpose(2, 0, 1)


def length(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length of the vectors of ``[2, H, W]``; of a difference, the end-point error."""
    return np.hypot(flow[0], flow[1])


def within_one_level(flow: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Share of values at most one of 256 levels apart after the network's scaling."""
    apart = np.abs(quantize_flow(flow) - quantize_flow(reference))
    return float((apart < 1.5 * LEVEL).mean())


@dataclass(frozen=True)
class Motion:
    """A linear map of the plane about the frame's centre, then a shift in pixels (x, y).

    ``shortest`` is the shortest wave of the texture in pixels: no method finds a motion that is
    longer than the waves on the coarsest level of its pyramid.
    """

    name: str
    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1, 0), (0, 1))
    shift: tuple[float, float] = (0, 0)
    shortest: float = 6


def _turn(degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return ((c, -s), (s, c))


MOTIONS = (
    Motion("shift 0.3, -0.7", shift=(0.3, -0.7)),
    Motion("shift 2.6, 1.3", shift=(2.6, 1.3)),
    Motion("shift -7.5, 4.2", shift=(-7.5, 4.2)),
    Motion("shift 16, 12", shift=(16, 12), shortest=70),
    Motion("turn 1 degree", _turn(1)),
    Motion("turn 4 degrees", _turn(-4)),
    Motion("zoom in 3 %", ((1.03, 0), (0, 1.03))),
    Motion("zoom out 6 %", ((0.94, 0), (0, 0.94))),
    Motion("shear 4 %", ((1, 0.04), (0, 1))),
    Motion("turn, zoom and shift", tuple(map(tuple, 1.02 * np.array(_turn(1.5)))), (3.3, -2.1)),
)


def moved_pair(
    motion: Motion, height: int = 192, width: int = 256, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A textured pair ``[2, H, W]`` and its exact flow ``[2, H, W]``.

    The texture is a sum of waves, so that it is known between the pixels too; its amplitude falls
    with frequency as in pictures of real scenes.
    """
    y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    place = np.stack([x, y])
    matrix, shift = np.array(motion.matrix), np.array(motion.shift)[:, None, None]
    target = np.einsum("ij,jhw->ihw", matrix, place) + shift
    source = np.einsum("ij,jhw->ihw", np.linalg.inv(matrix), place - shift)
    texture = _texture(seed, motion.shortest)
    frames = np.stack([texture(place), texture(source)])
    return np.rint(frames).astype(np.uint8), (target - place).astype(np.float32)


def _texture(seed: int, shortest: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    wavelength = np.geomspace(shortest, 240, 90)
    angle, phase = random.uniform(0, 2 * np.pi, (2, 90))
    wave = 2 * np.pi / wavelength * np.stack([np.cos(angle), np.sin(angle)])
    weight = wavelength**0.5
    weight *= 45 / np.sqrt((weight**2).sum() / 2)

    def value(place: NDArray[np.float64]) -> NDArray[np.float64]:
        arguments = np.einsum("in,ihw->nhw", wave, place) + phase[:, None, None]
        return np.clip(128 + np.einsum("n,nhw->hw", weight, np.cos(arguments)), 0, 255)

    return value


def outer(shape: tuple[int, int], margin: int = 16) -> NDArray[np.bool_]:
    """True in the outer ``margin`` pixels of ``[H, W]``."""
    mask = np.ones(shape, bool)
    mask[margin:-margin, margin:-margin] = False
    return mask


def scene(frames: int = 4, height: int = 48, width: int = 61, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth texture ``[N, H, W]`` that moves a little from frame to frame."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = random.uniform(-0.4, 0.4, (12, 3))
    pictures = [
        sum(np.sin(a * (x - 0.7 * n) + b * (y + 0.4 * n) + 9 * c) for a, b, c in waves)
        for n in range(frames)
    ]
    stack = np.stack(pictures)
    return np.rint(127 + 100 * stack / np.abs(stack).max()).astype(np.uint8)
