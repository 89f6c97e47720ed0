"""Whether the compiled convolutions work here, tried on small ones."""

import functools

import torch
from torch.nn import functional

from extract.machine.numba_cache import works

# Taps, stride, channels and picture's side: one of each form.
SMALL = ((3, 1, 8, 8), (3, 1, 8, 10), (7, 2, 2, 16))


@functools.cache
def winograd_works() -> bool:
    """Whether they can be compiled and compute what torch's convolution does, told once."""
    return works(_compare, "Winograd's convolutions", "torch's own convolution")


def _compare() -> bool:
    from extract.backbones.i3d import pad_same
    from extract.inference.winograd.convolution import F44, WinogradConvolution
    from extract.inference.winograd.thread_team import Team
    from extract.inference.winograd.transforms import form_of_three_taps

    generator, team = torch.Generator().manual_seed(0), Team()
    for taps, stride, channels, side in SMALL:
        weight = torch.randn(16, channels, taps, taps, taps, generator=generator)
        x = torch.randn(1, channels, 2, side, side, generator=generator)
        form = F44 if taps == 7 else form_of_three_taps(side, side)
        padded, padding = pad_same(x, (taps,) * 3, (stride,) * 3)
        bias = torch.linspace(-1, 1, 16)
        expected = functional.conv3d(padded, weight, bias, stride, padding).relu()
        found = WinogradConvolution(weight, bias, stride, form, team)(x)
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.max())):
            return False
    return True
