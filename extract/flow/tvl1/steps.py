"""The torch engine's inner loop: primal-dual steps on all pairs of a batch at once.

Each pair has a pace of its own, which is set to zero when the pair has met the stop test: the steps
that the rest of the batch still takes leave it unchanged. So nothing has to be read back, and a
pair's values do not depend on its batch.

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
    """The second image linearised at a flow.

    Attributes:
        gradient: ``[2, B, H, W]``, warped image gradient along x and y.
        rest: ``[B, H, W]``, constant part of the linearised difference.
        inverse: ``[B, H, W]``, one over the squared gradient.
    """

    gradient: torch.Tensor
    rest: torch.Tensor
    inverse: torch.Tensor


class State:
    """Flow and dual variables of a level, which the steps move on, and room to work in."""

    def __init__(self, flow: torch.Tensor) -> None:
        self.flow = flow.clone()
        self.dual = flow.new_zeros((2, *flow.shape))
        # The difference to the neighbour stays zero in the last column and row, which have none.
        self.slope = flow.new_zeros((2, *flow.shape))
        self.pair, self.move = torch.empty_like(flow), torch.empty_like(flow)
        self.one = torch.empty_like(flow[0])


def paces(params: TVL1Params, pairs: int, device: torch.device) -> torch.Tensor:
    """Theta, the threshold and the dual time step of every pair, ``[3, B, 1, 1]``."""
    values = (params.theta, params.lambda_ * params.theta, params.tau / params.theta)
    # Filled in place, as a tensor made from a list would have to be sent to the device.
    pace = torch.empty((3, pairs, 1, 1), dtype=torch.float32, device=device)
    for row, value in zip(pace, values, strict=True):
        row.fill_(value)
    return pace


def step(state: State, linear: Linear, pace: torch.Tensor, measure: bool) -> torch.Tensor | None:
    """One step in place; the square change of each pair's flow ``[B] float64`` if asked for."""
    theta, bound, tau_over_theta = pace
    flow, dual, slope = state.flow, state.dual, state.slope
    pair, move, one = state.pair, state.move, state.one
    # Thresholding (Zach et al., proposition 3).
    torch.mul(linear.gradient, flow, out=pair)
    torch.add(linear.rest, pair[0], out=one).add_(pair[1]).mul_(linear.inverse)
    torch.clamp(one, -bound, bound, out=one)
    # Divergence of the dual variables: backward differences, zero before the border.
    across, along = dual[:, 0], dual[:, 1]
    move[..., 0] = across[..., 0]
    torch.sub(across[..., 1:], across[..., :-1], out=move[..., 1:])
    pair[..., 0, :] = along[..., 0, :]
    torch.sub(along[..., 1:, :], along[..., :-1, :], out=pair[..., 1:, :])
    move.add_(pair).mul_(theta)
    move.sub_(torch.mul(linear.gradient, one, out=pair))
    flow.add_(move)
    change = _square_sum(move, pair) if measure else None
    # Semi-implicit step of Chambolle (2004) on the dual variables.
    torch.sub(flow[..., 1:], flow[..., :-1], out=slope[:, 0, ..., :-1])
    torch.sub(flow[..., 1:, :], flow[..., :-1, :], out=slope[:, 1, ..., :-1, :])
    torch.mul(slope[:, 0], slope[:, 0], out=pair)
    pair.add_(torch.mul(slope[:, 1], slope[:, 1], out=move))
    _root(pair).mul_(tau_over_theta).add_(1).reciprocal_()
    dual.add_(slope.mul_(tau_over_theta)).mul_(pair[:, None])
    return change


def _root(values: torch.Tensor) -> torch.Tensor:
    """Square root in place, rounded as IEEE 754 says, which torch's own on a CPU is not always."""
    if values.device.type == "cpu":
        np.sqrt(values.numpy(), out=values.numpy())
        return values
    return values.sqrt_()


def _square_sum(move: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
    torch.mul(move, move, out=room)
    # In double precision the order of the sum, which depends on device and batch, shows in the
    # last of 16 digits only; a decision that turns on it would change flow by up to pixels.
    return room[0].add_(room[1]).sum((-2, -1), dtype=torch.float64)


class Watch:
    """Tells whether all pairs have met the stop test, without waiting for a GPU.

    A CPU's answer is there at once. A GPU's is copied while the steps go on and looked at when it
    has come: the steps taken until then change nothing.
    """

    def __init__(self, event: Callable[[], Any] = torch.cuda.Event) -> None:
        self._event = event
        self._asked: deque[tuple[Any, torch.Tensor]] = deque()

    def all_ended(self, going: torch.Tensor) -> bool:
        """Whether ``going``, a boolean on the device, or one asked about before is known false."""
        if going.device.type == "cpu":
            return not going
        return self.late(going, torch.cuda.current_stream(going.device))

    def late(self, going: torch.Tensor, stream: Any) -> bool:
        """Ask the device whether a pair goes on; whether an answer that has come says none does."""
        answer = torch.empty((), dtype=torch.bool, pin_memory=going.is_cuda)
        answer.copy_(going, non_blocking=True)
        event = self._event()
        event.record(stream)
        self._asked.append((event, answer))
        while self._asked and self._asked[0][0].query():
            if not self._asked.popleft()[1]:
                return True
        return False


def iterate(
    state: State, linear: Linear, params: TVL1Params, steps: int, early: bool = True
) -> None:
    """Steps of one warp on ``state``, until each pair has met the stop test or the limit.

    Args:
        state: updated in place.
        linear: the linearised second image.
        params: solver settings.
        steps: at most this many.
        early: end when all pairs have met the test; otherwise take all steps, to the same values.
    """
    limit = params.epsilon**2 * linear.rest[0].numel()
    pace = paces(params, linear.rest.shape[0], linear.rest.device)
    watch = Watch()
    for number in range(1, steps + 1):
        change = step(state, linear, pace, number % params.check_every == 0 and number < steps)
        if change is None:
            continue
        pace.mul_((change > limit)[:, None, None])
        if early and watch.all_ended(pace[0].any()):
            break
