"""One training step of BaS-Net against the plain formulation, interleaved in one run.

Plain: the network as published, each branch by itself (two passes of conv1d), top-k, the same
optimiser and threads. Ours shares the first convolution's products between the branches, which
leaves 8 of 11 large products (ceiling 1.375x).

    python tests/benchmarks/train.py
"""

import statistics
import time
from collections.abc import Callable

import _packages  # noqa: F401
import click
import torch
import torch.nn.functional as F
from _speed_table import keep
from torch import Tensor

from basnet_e2e.heads.basnet.loss import basnet_loss
from basnet_e2e.heads.basnet.network import BaSNet, Output
from basnet_e2e.heads.presets import preset

CEILING = 11 / 8
Dropout = Callable[[Tensor], Tensor]


def plain(net: BaSNet, x: Tensor, dropouts: list[Dropout]) -> Output:
    """The published formulation of the same network; rows are ``[B, T, F]``."""
    rows = x.transpose(1, 2)
    assert net.filter is not None
    hidden = F.leaky_relu(net.filter.squeeze(rows), net.slope)
    weights = torch.sigmoid(net.filter.decide(hidden))
    parts = []
    for branch, drop in zip((rows, weights * rows), dropouts, strict=True):
        out = F.leaky_relu(net.conv_1(branch), net.slope)
        out = F.leaky_relu(net.conv_2(out), net.slope)
        cas = net.conv_3(drop(out)).transpose(1, 2)
        k = max(1, cas.shape[1] // net.ratio)
        parts += [cas.topk(k, dim=1).values.mean(1).softmax(1), cas]
    return Output(*parts, weights[:, 0])


def own_masks(net: BaSNet) -> list[Dropout]:
    """Each branch draws its own dropout, as in training."""
    return [lambda out: F.dropout(out, net.dropout)] * 2


def same_masks(net: BaSNet, seed: int, shape: tuple[int, ...], dtype: torch.dtype) -> list[Dropout]:
    """The masks that our network draws after this seed."""
    torch.manual_seed(seed)
    masks = F.dropout(torch.ones(shape, dtype=dtype), net.dropout).transpose(1, 2).chunk(2)
    return [lambda out, mask=mask: out * mask for mask in masks]


def difference(net: BaSNet, x: Tensor, labels: Tensor) -> float:
    """Relative difference of the two losses with shared dropout masks."""
    settings = preset("official").own
    shape = (2 * x.shape[0], x.shape[1], net.hidden)
    dropouts = same_masks(net, 5, shape, x.dtype)
    with torch.no_grad():
        theirs = basnet_loss(plain(net, x, dropouts), labels, settings).total
        torch.manual_seed(5)
        ours = basnet_loss(net(x), labels, settings).total
    return float((ours - theirs).abs() / theirs.abs())


def step(net: BaSNet, optimizer: torch.optim.Optimizer, output: Output, labels: Tensor) -> None:
    """Loss, gradients and update."""
    optimizer.zero_grad(set_to_none=True)
    basnet_loss(output, labels, preset("official").own).total.backward()
    optimizer.step()


@click.command()
@click.option("--rows", default=750, show_default=True, help="T.")
@click.option("--features", default=2048, show_default=True, help="Width of the features.")
@click.option("--hidden", default=2048, show_default=True, help="Channels of the network.")
@click.option("--classes", default=20, show_default=True)
@click.option("--batch", default=4, show_default=True)
@click.option("--repeats", default=7, show_default=True, help="Timed steps of each; median.")
def main(rows: int, features: int, hidden: int, classes: int, batch: int, repeats: int) -> None:
    """Print seconds a step of both formulations, their ratio and the difference of the losses."""
    torch.manual_seed(0)
    x = torch.randn(batch, rows, features).relu()
    labels = torch.eye(classes)[torch.arange(batch) % classes]
    net = BaSNet(features, classes, hidden).train()
    print(f"loss, float32: relative difference {difference(net, x, labels):.1e} (1e-5 allowed)")
    net.double()
    exact = difference(net, x.double(), labels.double())
    print(f"loss, float64: relative difference {exact:.1e} (1e-12 allowed)")
    net.float()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=5e-4, fused=True)
    forwards = {"plain": lambda: plain(net, x, own_masks(net)), "ours": lambda: net(x)}
    seconds: dict[str, list[float]] = {name: [] for name in forwards}
    for repeat in range(repeats + 1):
        for name, forward in forwards.items():
            began = time.perf_counter()
            step(net, optimizer, forward(), labels)
            if repeat:  # the first of each warms up
                seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        listed = " ".join(f"{value:.2f}" for value in values)
        print(f"{name}: {median[name]:.2f} s a step, median of {listed}")
    keep(
        f"training step, T = {rows}, {hidden} wide",
        f"{median['ours']:.2f} s",
        f"plain formulation: {median['plain']:.2f} s",
        median["plain"] / median["ours"],
        "train.py",
    )
    print(
        f"{median['plain'] / median['ours']:.2f}x with {torch.get_num_threads()} threads "
        f"(goal 1.3x, ceiling {CEILING}x by products)"
    )


if __name__ == "__main__":
    main()
