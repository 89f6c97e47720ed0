"""TV-L1 on a CPU, compiled by numba: one pair per thread.

One thread solves a pair from start to end, so values depend neither on other pairs nor on the
number of threads. The threads are Python's and release its lock; numba's own threading layers do
not survive a fork or concurrent callers.

Several primal-dual steps pass over the image together (``_sweep``): while step k works on row y,
step k+1 follows on row y-1, because a step needs nothing beyond the row below. So ``check_every``
steps cost one pass over memory, with the result of one step after the other.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.flow.tvl1.llvm_rows import FIELDS, LANES, cubic_taps, dual_row, fused_row, primal_row
from extract.flow.tvl1.params import BORDER, TVL1Params, pyramid_sizes
from extract.machine.devices import default_threads
from extract.machine.llvm_code import aligned
from extract.machine.numba_cache import compiled

IX = FIELDS.index("ix")
FLAT = np.finfo(np.float32).eps
HALF = np.float32(0.5)
ONE = np.float32(1)
NONE = np.float32(0)
ARITHMETIC: dict[str, Any] = {"error_model": "numpy", "boundscheck": False}
"""Division by zero gives infinity, as in C, and nothing is fused or reordered."""


def _padded(width: int) -> int:
    """Floats from one row of a field to the next: 16 zeros, the row, zeros to a multiple of 16."""
    return LANES + -(-width // LANES) * LANES + LANES


@compiled(**ARITHMETIC)
def _resize(source, target, step_y, step_x):  # type: ignore[no-untyped-def]  # numba's types
    """Bilinear, half-pixel centres; ``step`` is source pixels per target pixel."""
    height, width = source.shape
    for row in range(target.shape[0]):
        y = min(max((row + 0.5) * step_y - 0.5, 0.0), height - 1.0)
        upper = int(y)
        lower = min(upper + 1, height - 1)
        down = np.float32(y - upper)
        for column in range(target.shape[1]):
            x = min(max((column + 0.5) * step_x - 0.5, 0.0), width - 1.0)
            left = int(x)
            right = min(left + 1, width - 1)
            across = np.float32(x - left)
            top = source[upper, left] + across * (source[upper, right] - source[upper, left])
            low = source[lower, left] + across * (source[lower, right] - source[lower, left])
            target[row, column] = top + down * (low - top)


@compiled(**ARITHMETIC)
def _interleave(image, taps):  # type: ignore[no-untyped-def]  # numba's types
    """Image and its central differences side by side, the border repeated ``BORDER`` times."""
    height, width = image.shape
    for row in range(height + 2 * BORDER):
        y = min(max(row - BORDER, 0), height - 1)
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for column in range(width + 2 * BORDER):
            x = min(max(column - BORDER, 0), width - 1)
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            taps[row, column, 0] = image[y, x]
            taps[row, column, 1] = HALF * (image[y, right] - image[y, left])
            taps[row, column, 2] = HALF * (image[below, x] - image[above, x])
            taps[row, column, 3] = 0


@compiled(**ARITHMETIC)
def _warp(first, taps, state):  # type: ignore[no-untyped-def]  # numba's types
    """Linearise the second image at the current flow: fill ix, iy, rho_c and inverse."""
    height, width = first.shape
    base, stride = taps.ctypes.data, taps.shape[1] * 4
    right_most, lower_most = np.float32(width - 1), np.float32(height - 1)
    for row in range(height):
        for column in range(width):
            u = state[0, row + 1, column + LANES]
            v = state[1, row + 1, column + LANES]
            x, y = np.float32(column) + u, np.float32(row) + v
            # Pixels that move out of the frame have no data term; smoothness alone determines
            # their flow.
            visible = ONE if 0 <= x <= right_most and 0 <= y <= lower_most else NONE
            x, y = min(max(x, NONE), right_most), min(max(y, NONE), lower_most)
            left, upper = np.floor(x), np.floor(y)
            pixel = (int(upper) + (BORDER - 1)) * stride + (int(left) + (BORDER - 1)) * 4
            taps_here = cubic_taps((base, pixel, stride, x - left, y - upper))
            value, ix, iy = taps_here[0], visible * taps_here[1], visible * taps_here[2]
            state[IX, row + 1, column + LANES] = ix
            state[IX + 1, row + 1, column + LANES] = iy
            state[IX + 2, row + 1, column + LANES] = (
                visible * (value - first[row, column]) - ix * u - iy * v
            )
            # Without a gradient, the data term changes nothing.
            state[IX + 3, row + 1, column + LANES] = ONE / max(ix * ix + iy * iy, FLAT)


@compiled(**ARITHMETIC)
def _sweep(state, inner, width, steps, threshold, theta, tau_over_theta):  # type: ignore[no-untyped-def]  # numba's types
    """Take ``steps`` primal-dual steps; the square change of the flow in the last, in pixels^2."""
    height, stride = state.shape[1] - 1, state.shape[2]
    base, plane = state.ctypes.data, state.shape[1] * state.shape[2]
    last = 0.0
    for front in range(height + steps):
        for step in range(max(0, front - height), min(steps, front + 1)):
            y = front - step
            row = (y + 1) * stride + LANES
            above = row - stride
            numbers = (base, plane, row, above, inner, width, threshold, theta, tau_over_theta)
            if y == 0:
                change = primal_row(numbers)
            elif y < height:
                change = fused_row(numbers)
            else:
                change = dual_row(numbers)
            if step == steps - 1:
                last += change
    return last


@compiled(**ARITHMETIC)
def _solve_level(first, taps, state, inner, warps, iterations, settings):  # type: ignore[no-untyped-def]  # numba's types
    """All warps of one level, on the flow in ``state``."""
    check_every, epsilon, threshold, theta, tau_over_theta = settings
    height, width = first.shape
    limit = epsilon * epsilon * height * width
    for _ in range(warps):
        _warp(first, taps, state)
        done = 0
        while done < iterations:
            steps = min(check_every, iterations - done)
            done += steps
            change = _sweep(state, inner, width, steps, threshold, theta, tau_over_theta)
            if change <= limit:
                break


class _Workspace:
    """A thread's buffers for frames of one size, reused from pair to pair."""

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        self.sizes = sizes
        self.first = [np.empty(size, np.float32) for size in sizes]
        self.second = [np.empty(size, np.float32) for size in sizes]
        height, width = sizes[0]
        self.flow = [np.empty((2, *size), np.float32) for size in sizes]
        self._taps = aligned((height + 2 * BORDER) * (width + 2 * BORDER) * 4)
        # After the fields comes a row that is 1 where a pixel has a right neighbour.
        self._state = aligned((len(FIELDS) * (height + 1) + 1) * _padded(width))

    def taps(self, level: int) -> NDArray[np.float32]:
        """``[H + 4, W + 4, 4]``."""
        shape = tuple(side + 2 * BORDER for side in self.sizes[level])
        return self._taps[: shape[0] * shape[1] * 4].reshape(*shape, 4)

    def state(self, level: int) -> tuple[NDArray[np.float32], int]:
        """All fields ``[10, H + 1, padded W]``, zeroed, and the index of the row of ones."""
        height, width = self.sizes[level]
        shape = (len(FIELDS), height + 1, _padded(width))
        size = shape[0] * shape[1] * shape[2]
        self._state[: size + shape[2]] = 0
        self._state[size : size + width - 1] = 1
        return self._state[:size].reshape(shape), size


def _solve_pair(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    params: TVL1Params,
    space: _Workspace,
    out: NDArray[np.float32],
) -> None:
    """Flow of one pair, ``[H, W]`` images in 0..255, into ``out [2, H, W]``."""
    for levels, image in ((space.first, first), (space.second, second)):
        levels[0] = image
        for above, below in itertools.pairwise(levels):
            _resize(above, below, 1 / params.scale_step, 1 / params.scale_step)
    real = np.float32
    settings = (
        params.check_every,
        params.epsilon,
        real(params.lambda_ * params.theta),
        real(params.theta),
        real(params.tau / params.theta),
    )
    coarsest = len(space.sizes) - 1
    for level in reversed(range(coarsest + 1)):
        height, width = space.sizes[level]
        state, inner = space.state(level)
        inside = state[:2, 1:, LANES : LANES + width]
        if level < coarsest:
            coarse = space.flow[level + 1]
            steps = coarse.shape[1] / height, coarse.shape[2] / width
            for n in range(2):
                _resize(coarse[n], space.flow[level][n], *steps)
            np.multiply(space.flow[level], real(1 / params.scale_step), out=inside)
        taps = space.taps(level)
        _interleave(space.second[level], taps)
        limits = (params.warps, params.steps(level))
        _solve_level(space.first[level], taps, state, inner, *limits, settings)
        space.flow[level][:] = inside
    out[:] = space.flow[0]


def solve_pairs(
    images: NDArray[np.float32],
    params: TVL1Params,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Flow between consecutive images, ``[N+1, H, W] float32`` in 0..255 -> ``[N, 2, H, W]``.

    Args:
        images: checked frames, see ``extract.flow.tvl1.solver.check_frames``.
        params: solver settings.
        threads: pairs solved at a time (default: ``default_threads``). Changes no value.
    """
    pairs, (height, width) = max(len(images) - 1, 0), images.shape[1:]
    flow = np.empty((pairs, 2, height, width), np.float32)
    sizes = pyramid_sizes(height, width, params)
    todo = iter(range(pairs))  # each thread takes the next pair

    def work() -> None:
        space = _Workspace(sizes)
        for n in todo:
            _solve_pair(images[n], images[n + 1], params, space, flow[n])

    count = min(threads or default_threads(), pairs)
    if count <= 1:
        work()
    else:
        with ThreadPoolExecutor(count) as pool:
            try:
                for future in [pool.submit(work) for _ in range(count)]:
                    future.result()
            finally:  # after Ctrl-C the threads find nothing more to do
                list(todo)
    return flow
