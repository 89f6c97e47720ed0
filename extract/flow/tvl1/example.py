"""Whether the numba engine works on this machine, tried on a small pair."""

import functools

import numpy as np

from extract.flow.tvl1.params import TVL1Params
from extract.machine.numba_cache import works

TOLERANCE = 1e-3  # pixels


@functools.cache
def numba_works() -> bool:
    """Whether it compiles and agrees with the torch engine; otherwise one line is logged."""
    return works(_compare, "TV-L1 flow", "the slower torch engine")


def _compare() -> bool:
    from extract.flow.tvl1 import numba_engine, torch_engine

    params = TVL1Params(scales=2, warps=1, iterations=4)
    rows, columns = np.mgrid[:20, :28]
    images = np.stack([99 + 50 * np.sin(rows + columns / (3 + n)) for n in range(2)])
    images = images.astype(np.float32)
    found = numba_engine.solve_pairs(images, params, threads=1)
    expected = torch_engine.solve_pairs(images, params)
    return bool(np.allclose(found, expected, rtol=0, atol=TOLERANCE))
