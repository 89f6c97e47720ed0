"""Milliseconds of Inception-I3D's convolutions on a CPU: plain, packed and by Winograd's filtering.

Run: ``python tests/benchmarks/i3d.py [--threads N] [--stream rgb|flow] [--rounds N]``. The weights
are random. What is compared takes turns, so that a busy moment hits all of it, and the best of the
rounds counts. The fraction of this machine's matrix-multiply peak is that of the direct operations:
above 1 fewer are done. ``--processor-time`` counts processor time, for a machine that others use;
one thread.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402  (found by the path above, as are the next)
from _speed_table import keep  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from extract.backbones.i3d import InceptionI3D, Unit3D, folded  # noqa: E402
from extract.inference.packed_i3d import PackedConvolution, PackedI3D  # noqa: E402
from extract.inference.winograd.choice import convolution_maker  # noqa: E402
from extract.inference.winograd.convolution import transform_for  # noqa: E402
from extract.streams import CHANNELS  # noqa: E402

SIDE = 2048
WAYS = ("plain", "packed", "winograd")


def best(
    ways: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of the fastest of some rounds after one to warm up, the ways taking turns."""
    for work in ways.values():
        work()
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, work in ways.items():
            began = clock()
            work()
            found[name] = min(found[name], clock() - began)
    return found


def shapes(network: InceptionI3D, clip: Tensor) -> dict[str, tuple[Tensor, int]]:
    """Name of each convolution but the classifier -> its input and its operations."""
    found: dict[str, tuple[Tensor, int]] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def hook(unit: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            work = 2 * output.numel() * unit.conv3d.weight[0].numel()
            found[name] = inputs[0].contiguous(memory_format=torch.channels_last_3d), work

        return hook

    hooks = [
        unit.register_forward_hook(note(name))
        for name, unit in network.named_modules()
        if isinstance(unit, Unit3D) and name != "logits"
    ]
    network.features(clip)
    for hook in hooks:
        hook.remove()
    return found


def row(name: str, times: dict[str, float], work: int, peak: float) -> None:
    """Print one row."""
    plain, packed, winograd = (times[way] for way in WAYS)
    milliseconds = "".join(f"{1000 * each:9.1f}" for each in (plain, packed, winograd))
    shares = "".join(f"{work / each / peak:7.2f}" for each in (packed, winograd))
    print(f"{name:22}{work / 1e9:7.2f}{milliseconds}{packed / winograd:8.2f}x{shares}", flush=True)


def random_network(channels: int) -> InceptionI3D:
    """Random weights that keep activations in a normal range."""
    torch.manual_seed(0)
    network = InceptionI3D(channels)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
    return network.eval()


def table(network: InceptionI3D, clip: Tensor, rounds: int, clock: Callable[[], float]) -> None:
    """Print a row for each convolution that Winograd's filtering computes, and the network's."""
    matrix = torch.randn(SIDE, SIDE)
    product = best({"peak": lambda: torch.mm(matrix, matrix)}, rounds, clock)
    peak = 2 * SIDE**3 / product["peak"]
    print(f"matrix multiply {SIDE}^3, {torch.get_num_threads()} threads: {peak / 1e9:.0f} GFLOP/s;")
    print("times in ms; gain is packed / winograd; the last two are fractions of that peak")
    print(f"{'':22}{'GFLOP':>7}" + "".join(f"{way:>9}" for way in WAYS), end="")
    print(f"{'gain':>9}{'packed':>8}{'wino':>6}")
    layers, units = shapes(network, clip), dict(network.named_modules())
    for name, (x, work) in layers.items():
        unit = units[name]
        weight, bias = folded(unit)
        if transform_for(weight, unit.stride[0], tuple(x.shape)) is None:
            continue
        plain = weight, bias, unit.kernel, unit.stride
        forms = (unit, PackedConvolution(*plain), convolution_maker()(*plain))
        ways = {way: partial(form, x) for way, form in zip(WAYS, forms, strict=True)}
        row(name, best(ways, rounds, clock), work, peak)
    packed, fitting = PackedI3D(network), PackedI3D(network, convolution_maker())
    networks = dict(zip(WAYS, (network, packed, fitting), strict=True))
    ways = {way: partial(each.features, clip) for way, each in networks.items()}
    times = best(ways, rounds, clock)
    row("the network", times, sum(work for _, work in layers.values()), peak)
    stream = next(name for name, count in CHANNELS.items() if count == clip.shape[1])
    threads = torch.get_num_threads()
    keep(
        f"I3D {stream}, a snippet, threads: {threads}",
        f"{times['winograd']:.3f} s",
        f"torch: {times['plain']:.3f} s; its kernels packed: {times['packed']:.3f} s",
        times["plain"] / times["winograd"],
        f"i3d.py --threads {threads} --stream {stream}",
    )
    expected = network.features(clip)
    for name in WAYS[1:]:
        error = (networks[name].features(clip) - expected).abs().max() / expected.abs().max()
        print(f"{name}: {error:.1e} from the plain network's features")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--stream", choices=CHANNELS, default="rgb")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    torch.set_num_threads(1 if options.processor_time else options.threads)
    channels = CHANNELS[options.stream]
    with torch.inference_mode():
        clip = torch.rand(1, channels, 16, 224, 224) * 2 - 1
        table(random_network(channels), clip, options.rounds, clock)


if __name__ == "__main__":
    main()
