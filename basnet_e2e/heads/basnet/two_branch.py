"""Temporal convolutions of kernel 3 as matrix products over rows ``[B, T, channels]``.

With ``Y_j[s] = W_j x[s]`` for the three taps j, a convolution is ``bias + sum_j Y_j[t + j]``. Where
rows are scaled by one weight each, as BaS-Net's suppression branch scales features by foreground
weights, ``W_j (w[s] x[s]) = w[s] Y_j[s]``: both branches share the products Y, forward and
backward. Of the 11 large products of a training step 8 remain; the result is the same but for the
order of sums.
"""

from typing import Any

import torch
from torch import Tensor, nn

TAPS = 3


def convolve(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """The convolution ``conv`` (kernel 3, zero padding 1) of ``x [B, T, F]``: ``[B, T, H]``."""
    result: Tensor = _Convolve.apply(x, conv.weight, conv.bias)
    return result


def convolve_both(x: Tensor, weights: Tensor, conv: nn.Conv1d) -> Tensor:
    """The convolution of ``x`` and that of ``weights * x``, from one set of products.

    Args:
        x: ``[B, T, F]``.
        weights: ``[B, T]``, one factor for each row.
        conv: kernel 3, zero padding 1.

    Returns:
        ``[2 B, T, H]``: first the B videos unscaled, then scaled.
    """
    result: Tensor = _ConvolveBoth.apply(x, weights, conv.weight, conv.bias)
    return result


def _stacked(weight: Tensor) -> Tensor:
    """Kernel ``[H, F, 3]`` as one matrix ``[3 H, F]``, tap by tap."""
    return weight.permute(2, 0, 1).reshape(-1, weight.shape[1])


def _unstacked(matrix: Tensor) -> Tensor:
    """Inverse of :func:`_stacked`."""
    return matrix.view(TAPS, -1, matrix.shape[1]).permute(1, 2, 0)


def _products(x: Tensor, matrix: Tensor) -> Tensor:
    """``[B, T, 3, H]``: every tap's product with every row."""
    return (x.reshape(-1, x.shape[2]) @ matrix.t()).view(*x.shape[:2], TAPS, -1)


def _gather(out: Tensor, products: Tensor) -> None:
    """Add the taps of the neighbouring rows: ``out[t] += sum_j products_j[t + j]``."""
    out += products[:, :, 1]
    out[:, 1:] += products[:, :-1, 0]
    out[:, :-1] += products[:, 1:, 2]


def _scatter(gradient: Tensor) -> Tensor:
    """Transpose of :func:`_gather`: ``[B, T, H]`` to ``[B, T, 3, H]``."""
    batch, rows, width = gradient.shape
    spread = gradient.new_empty(batch, rows, TAPS, width)
    spread[:, :, 1] = gradient
    spread[:, :-1, 0] = gradient[:, 1:]
    spread[:, -1, 0] = 0
    spread[:, 1:, 2] = gradient[:, :-1]
    spread[:, 0, 2] = 0
    return spread


class _Convolve(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, matrix, bias = _lowered(x, _stacked(weight), bias)
        out = bias.expand(*x.shape[:2], -1).clone()
        _gather(out, _products(x, matrix))
        ctx.save_for_backward(x, matrix)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, matrix = ctx.saved_tensors
        spread = _scatter(gradient).view(-1, matrix.shape[0])
        need_x, need_weight, need_bias = ctx.needs_input_grad
        return (
            (spread @ matrix).view(x.shape) if need_x else None,
            _unstacked(spread.t() @ x.reshape(-1, x.shape[2])) if need_weight else None,
            gradient.sum((0, 1)) if need_bias else None,
        )


class _ConvolveBoth(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")
    def forward(ctx: Any, x: Tensor, weights: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, matrix, bias = _lowered(x, _stacked(weight), bias)
        batch = x.shape[0]
        products = _products(x, matrix)
        scales = weights.to(x.dtype)[:, :, None, None]
        out = bias.expand(2 * batch, x.shape[1], -1).clone()
        _gather(out[:batch], products)
        _gather(out[batch:], products * scales)
        ctx.save_for_backward(x, weights, matrix, products)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, matrix, products = ctx.saved_tensors
        batch = x.shape[0]
        need_x, need_weights, need_weight, need_bias = ctx.needs_input_grad
        spread = _scatter(gradient[batch:])
        # The factor of a row meets each of its products once.
        to_weights = None
        if need_weights:
            flat = spread.view(-1, 1, matrix.shape[0]), products.view(-1, matrix.shape[0], 1)
            to_weights = torch.bmm(*flat).view(weights.shape).to(weights.dtype)
        spread *= weights.to(x.dtype)[:, :, None, None]
        base = gradient[:batch]
        spread[:, :, 1] += base
        spread[:, :-1, 0] += base[:, 1:]
        spread[:, 1:, 2] += base[:, :-1]
        flat_spread = spread.view(-1, matrix.shape[0])
        return (
            (flat_spread @ matrix).view(x.shape) if need_x else None,
            to_weights,
            _unstacked(flat_spread.t() @ x.reshape(-1, x.shape[2])) if need_weight else None,
            gradient.sum((0, 1)) if need_bias else None,
        )


def _lowered(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in the type autocast asks for on their device, unchanged without autocast."""
    kind = tensors[0].device.type
    if not torch.is_autocast_enabled(kind):
        return tensors
    dtype = torch.get_autocast_dtype(kind)
    return tuple(tensor.to(dtype) for tensor in tensors)
