"""Seconds per snippet of Inception-I3D, beside this machine's matrix-multiply peak.

Run: ``python tests/benchmarks/i3d.py [--threads N]``. The weights are random: only time is
measured, and that packed kernels agree with the plain module. The peak is measured before and
after, since a machine may be shared. Last, torch beside OpenVINO on pytorchvideo's networks, which
take it where it is installed.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable

import numpy as np
import torch

from extract.backbones.i3d import InceptionI3D, Unit3D
from extract.backbones.runtime_openvino import OpenVINORuntime
from extract.backbones.runtime_torch import TorchRuntime
from extract.backbones.zoo import ZooNetwork

SHAPE = (3, 16, 224, 224)
# Frames and picture side that each network of the zoo sees.
ZOO = {"i3d_r50": (3, 8, 256, 256), "slow_r50": (3, 8, 256, 256), "x3d_m": (3, 16, 256, 256)}
SIDE = 4096
BEST_OF = 5


clock = time.perf_counter


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of five runs after one to warm up."""
    work()
    times = []
    for _ in range(BEST_OF):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)


def peak() -> float:
    """Float32 matrix-multiply rate in operations per second."""
    a, b, c = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.empty(SIDE, SIDE)
    return 2 * SIDE**3 / best(lambda: torch.mm(a, b, out=c))


def operations(network: InceptionI3D, clip: torch.Tensor) -> int:
    """Multiplications and additions of all convolutions, those with padding included."""
    total = 0

    def count(unit: Unit3D, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        total += 2 * output.numel() * unit.conv3d.weight[0].numel()

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, Unit3D)
    ]
    network.features(clip)
    for hook in hooks:
        hook.remove()
    return total


def lively(network: InceptionI3D) -> InceptionI3D:
    """Random weights that keep activations in a normal range."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight)
    return network.eval().requires_grad_(False)


def zoo(threads: int) -> None:
    """Print seconds a clip of the zoo's networks by torch and OpenVINO."""
    print(f"\n{'':22}{'torch, s':>10}{'openvino':>10}{'ratio':>8}")
    for name, shape in ZOO.items():
        network = ZooNetwork(name).eval().requires_grad_(False)
        clip = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
        runtimes = (
            TorchRuntime(network, shape, threads=threads),
            OpenVINORuntime(network, shape, 1, threads),
        )
        plain, other = (best(lambda run=runtime.run, x=clip: run(x)) for runtime in runtimes)
        print(f"{name:22}{plain:10.3f}{other:10.3f}{plain / other:7.2f}x")


def main() -> None:
    """Print the table."""
    global clock
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count processor time, for a machine that others use; one thread",
    )
    options = parser.parse_args()
    threads = 1 if options.processor_time else options.threads
    if options.processor_time:
        clock = time.process_time
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        network = lively(InceptionI3D(3))
        clip = torch.rand(1, *SHAPE) * 2 - 1
        work = operations(network, clip)
        before = peak()
        expected = network.features(clip).numpy()
        rows = [("torch, plain module", best(lambda: network.features(clip)), 0.0)]
        runtimes = {"torch, ours": TorchRuntime(network, SHAPE, threads=threads)}
        for name, runtime in runtimes.items():
            seconds = best(lambda runtime=runtime: runtime.run(clip.numpy()))
            found = runtime.run(clip.numpy())
            rows.append((name, seconds, np.abs(found - expected).max() / expected.max()))
        after = peak()
    top = max(before, after)
    print(
        f"matrix multiply {SIDE}^3, {threads} threads: {before / 1e9:.0f} GFLOP/s before, ", end=""
    )
    print(f"{after / 1e9:.0f} after")
    print(f"Inception-I3D {'x'.join(map(str, SHAPE[1:]))}: {work / 1e9:.1f} GFLOP")
    print(f"{'':22}{'s/snippet':>10}{'of peak':>9}{'speed-up':>10}{'difference':>12}")
    for name, seconds, difference in rows:
        fraction = work / seconds / top
        print(
            f"{name:22}{seconds:10.3f}{fraction:9.2f}{rows[0][1] / seconds:9.2f}x{difference:12.1e}"
        )
    if importlib.util.find_spec("openvino"):
        zoo(threads)


if __name__ == "__main__":
    main()
