"""The torch engine's inner loop: primal-dual steps on all pairs of a batch at once.

A pair that has met the stop test gets coefficients of zero, so that the further steps of its batch
leave it unchanged. Nothing has to be read back, and a pair's values do not depend on its batch.

Shapes: B pairs of ``[H, W] float32``; flow ``[2, B, H, W]``, u and v, in pixels; dual variables
``[2, 2, B, H, W]``, of u and v along x and y.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from extract.flow.tvl1.params import TVL1Params


class Linear(NamedTuple):
    """The second image linearised at a flow: ``[2, B, H, W]`` along x and y, and ``[B, H, W]``."""

    gradient: torch.Tensor
    """Of the warped image."""
    rho_c: torch.Tensor
    """Constant part of the linearised difference."""
    inverse: torch.Tensor
    """One over the squared gradient."""


class State:
    """Flow and dual variables of a level, which the steps update, and scratch buffers."""

    def __init__(self, flow: torch.Tensor) -> None:
        self.flow = flow.clone()
        self.dual = flow.new_zeros((2, *flow.shape))
        # Differences to the neighbour stay zero in the last column and row, which have none.
        self.slope = flow.new_zeros((2, *flow.shape))
        self.delta, self.scratch = torch.empty_like(flow), torch.empty_like(flow)
        self.scalar = torch.empty_like(flow[0])


def coefficients_of(params: TVL1Params, pairs: int, device: torch.device) -> torch.Tensor:
    """Theta, the threshold and the dual time step of each pair, ``[3, B, 1, 1]``."""
    values = (params.theta, params.lambda_ * params.theta, params.tau / params.theta)
    # Filled in place: a tensor made from a list would be copied to the device.
    coefficients = torch.empty((3, pairs, 1, 1), dtype=torch.float32, device=device)
    for row, value in zip(coefficients, values, strict=True):
        row.fill_(value)
    return coefficients


def step(
    state: State, linear: Linear, coefficients: torch.Tensor, measure: bool
) -> torch.Tensor | None:
    """Take a step in place; if ``measure``, return each pair's square change ``[B] float64``."""
    theta, threshold, tau_over_theta = coefficients
    flow, dual, slope = state.flow, state.dual, state.slope
    delta, scratch, scalar = state.delta, state.scratch, state.scalar
    # Thresholding (Zach et al., proposition 3).
    torch.mul(linear.gradient, flow, out=scratch)
    torch.add(linear.rho_c, scratch[0], out=scalar).add_(scratch[1]).mul_(linear.inverse)
    torch.clamp(scalar, -threshold, threshold, out=scalar)
    # Divergence of the dual variables: backward differences, zero before the border.
    across, along = dual[:, 0], dual[:, 1]
    delta[..., 0] = across[..., 0]
    torch.sub(across[..., 1:], across[..., :-1], out=delta[..., 1:])
    scratch[..., 0, :] = along[..., 0, :]
    torch.sub(along[..., 1:, :], along[..., :-1, :], out=scratch[..., 1:, :])
    delta.add_(scratch).mul_(theta)
    delta.sub_(torch.mul(linear.gradient, scalar, out=scratch))
    flow.add_(delta)
    change = _square_sum(delta, scratch) if measure else None
    # Semi-implicit step of Chambolle (2004) on the dual variables.
    torch.sub(flow[..., 1:], flow[..., :-1], out=slope[:, 0, ..., :-1])
    torch.sub(flow[..., 1:, :], flow[..., :-1, :], out=slope[:, 1, ..., :-1, :])
    torch.mul(slope[:, 0], slope[:, 0], out=scratch)
    scratch.add_(torch.mul(slope[:, 1], slope[:, 1], out=delta))
    _root(scratch).mul_(tau_over_theta).add_(1).reciprocal_()
    dual.add_(slope.mul_(tau_over_theta)).mul_(scratch[:, None])
    return change


def _root(values: torch.Tensor) -> torch.Tensor:
    """Square root in place, rounded by IEEE 754, as torch's own on a CPU is not always."""
    if values.device.type == "cpu":
        np.sqrt(values.numpy(), out=values.numpy())
        return values
    return values.sqrt_()


def _square_sum(delta: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    torch.mul(delta, delta, out=scratch)
    # The order of the sum depends on device and batch. In double precision it affects the last of
    # 16 digits; in single precision it could flip a decision, and change flow by up to pixels.
    return scratch[0].add_(scratch[1]).sum((-2, -1), dtype=torch.float64)


class StopPoll:
    """Polls whether all pairs have met the stop test, without waiting for a GPU.

    A GPU's answer is copied while the steps continue; steps taken until it arrives change nothing.
    """

    def __init__(self, event: Callable[[], Any] = torch.cuda.Event) -> None:
        self._event = event
        self._pending: deque[tuple[Any, torch.Tensor]] = deque()

    def all_stopped(self, running: torch.Tensor) -> bool:
        """Whether no pair is known to be running, by a boolean on the device."""
        if running.device.type == "cpu":
            return not running
        return self.poll(running, torch.cuda.current_stream(running.device))

    def poll(self, running: torch.Tensor, stream: Any) -> bool:
        """Queue a copy of ``running``; whether one that has arrived is false."""
        answer = torch.empty((), dtype=torch.bool, pin_memory=running.is_cuda)
        answer.copy_(running, non_blocking=True)
        event = self._event()
        event.record(stream)
        self._pending.append((event, answer))
        while self._pending and self._pending[0][0].query():
            if not self._pending.popleft()[1]:
                return True
        return False


def iterate(
    state: State, linear: Linear, params: TVL1Params, steps: int, early: bool = True
) -> None:
    """Take the steps of a warp, until each pair has met the stop test or the maximum.

    Args:
        state: updated in place.
        linear: the linearised second image.
        params: solver settings.
        steps: the maximum.
        early: stop when all pairs have met the test; otherwise take all steps, with equal results.
    """
    limit = params.epsilon**2 * linear.rho_c[0].numel()
    coefficients = coefficients_of(params, linear.rho_c.shape[0], linear.rho_c.device)
    stop = StopPoll()
    for number in range(1, steps + 1):
        change = step(
            state, linear, coefficients, number % params.check_every == 0 and number < steps
        )
        if change is None:
            continue
        coefficients.mul_((change > limit)[:, None, None])
        if early and stop.all_stopped(coefficients[0].any()):
            break
