"""Whether the compiled convolutions work on this machine, tried on small ones."""

import functools

import torch
from torch.nn import functional

from extract.machine.numba_cache import works

# Taps, stride, channels and picture side of an example for each transform.
SMALL = ((3, 1, 8, 8), (3, 1, 8, 10), (7, 2, 2, 16))


@functools.cache
def winograd_works() -> bool:
    """Whether they compile and agree with torch's convolution; otherwise one line is logged."""
    return works(_compare, "Winograd's convolutions", "torch's own convolution")


def _compare() -> bool:
    from extract.backbones.i3d import pad_same
    from extract.inference.winograd.convolution import F44, WinogradConvolution
    from extract.inference.winograd.thread_team import ThreadTeam
    from extract.inference.winograd.transforms import transform_3x3

    generator, team = torch.Generator().manual_seed(0), ThreadTeam()
    for taps, stride, channels, side in SMALL:
        weight = torch.randn(16, channels, taps, taps, taps, generator=generator)
        x = torch.randn(1, channels, 2, side, side, generator=generator)
        transform = F44 if taps == 7 else transform_3x3(side, side)
        padded, padding = pad_same(x, (taps,) * 3, (stride,) * 3)
        bias = torch.linspace(-1, 1, 16)
        expected = functional.conv3d(padded, weight, bias, stride, padding).relu()
        found = WinogradConvolution(weight, bias, stride, transform, team)(x)
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.max())):
            return False
    return True
