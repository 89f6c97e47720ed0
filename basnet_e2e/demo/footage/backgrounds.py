"""Textured backgrounds, a few families of them, for a camera to drift over."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from basnet_e2e.demo.footage.colours import two_colours

Field = NDArray[np.float32]


def background(rng: Generator, family: str, height: int, width: int) -> NDArray[np.float32]:
    """A texture of one family in random muted colours, ``[H, W, 3] float32`` in 0..255."""
    first, second = two_colours(rng, contrast=(30.0, 90.0))
    mix = FAMILIES[family](rng, height, width)[..., None]
    tint = fractal(rng, height, width, 2.5)[..., None] * rng.normal(0, 25, 3).astype(np.float32)
    return np.clip(first + (second - first) * mix + tint, 0, 255).astype(np.float32)


def fractal(rng: Generator, height: int, width: int, slope: float) -> Field:
    """Wrapping noise whose amplitude falls as frequency**-slope, scaled to 0..1: ``[H, W]``."""
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    return _to_unit(np.fft.irfft2(spectrum * frequency**-slope, s=(height, width)))


def _clouds(rng: Generator, height: int, width: int) -> Field:
    return fractal(rng, height, width, float(rng.uniform(0.9, 1.7)))


def _weave(rng: Generator, height: int, width: int) -> Field:
    """Threads of random brightness crossing at right angles, under light clouds."""
    rows = _to_unit(_smooth(rng.standard_normal(height), int(rng.integers(2, 6))))
    columns = _to_unit(_smooth(rng.standard_normal(width), int(rng.integers(2, 6))))
    return _to_unit(rows[:, None] + columns[None] + 0.7 * fractal(rng, height, width, 1.0))


def _cells(rng: Generator, height: int, width: int) -> Field:
    """Tiles of the nearest of random points (a wrapping Voronoi diagram), each of one shade."""
    count = int(rng.integers(40, 90))
    y, x = rng.uniform(0, height, count), rng.uniform(0, width, count)
    shade = rng.uniform(0, 1, count)
    rows, columns = np.mgrid[:height, :width]
    down = np.abs(rows[..., None] - y)
    across = np.abs(columns[..., None] - x)
    distance = np.minimum(down, height - down) ** 2 + np.minimum(across, width - across) ** 2
    return _to_unit(shade[distance.argmin(-1)] + 0.4 * fractal(rng, height, width, 1.0))


def _ripples(rng: Generator, height: int, width: int) -> Field:
    """A few wrapping plane waves, bent by a slow field, with a little fine noise."""
    rows, columns = np.mgrid[:height, :width]
    bend = 6 * fractal(rng, height, width, 2.0)
    total = np.zeros((height, width))
    for _ in range(4):
        down, across = rng.integers(-6, 7), rng.integers(-6, 7)
        phase = rng.uniform(0, 2 * np.pi)
        wave = 2 * np.pi * (down * rows / height + across * columns / width)
        total += np.sin(wave + bend + phase)
    return _to_unit(total + 2.5 * fractal(rng, height, width, 0.9))


FAMILIES: dict[str, Callable[[Generator, int, int], Field]] = {
    "clouds": _clouds,
    "weave": _weave,
    "cells": _cells,
    "ripples": _ripples,
}


def _smooth(line: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Wrapping moving average."""
    kernel = np.ones(width) / width
    return np.convolve(np.concatenate([line, line[: width - 1]]), kernel, mode="valid")


def _to_unit(field: NDArray[np.float64]) -> Field:
    low, high = np.percentile(field, (1, 99))
    return np.clip((field - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
