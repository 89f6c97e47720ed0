"""Seconds per snippet of each backbone, beside this machine's matrix-multiply peak.

Run: ``python tests/benchmarks/backbones.py [--threads N] [NAME...]``. The weights are random: only
time is measured, and that I3D's packed kernels agree with the plain module. Peaks are measured
before and after, since a machine may be shared. First Inception-I3D in detail; then the table of
all networks: name, accuracy, feature size, seconds, operations, share of the peak, licence. With
names, the table alone, of these.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from extract.backbones.i3d import InceptionI3D, Unit3D
from extract.backbones.registry import backbone_names, backbone_record
from extract.backbones.spec import BackboneRecord
from extract.backbones.transformers_network import NETWORKS
from extract.inference.torch_runtime import TorchRuntime
from weights.manifest import network as network_entry

SHAPE = (3, 16, 224, 224)
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


def random_network(record: BackboneRecord) -> torch.nn.Module:
    """A backbone's network with random weights; one of transformers from its configuration."""
    if record.model is None:
        found = record.build(record.streams[0], network_entry(record.name, "rgb").classes or 6)
        return found.eval().requires_grad_(False)
    import transformers

    makes: dict[str, tuple[str, Callable[[], torch.nn.Module]]] = {
        "vjepa2-vitl": ("video", lambda: transformers.VJEPA2Model(transformers.VJEPA2Config())),
        "videomae-base": (
            "classifier",
            lambda: transformers.VideoMAEForVideoClassification(
                transformers.VideoMAEConfig(num_labels=400)
            ),
        ),
        "clip-vit-b32": ("pictures", lambda: transformers.CLIPModel(transformers.CLIPConfig())),
        "siglip-base": ("pictures", lambda: transformers.SiglipModel(transformers.SiglipConfig())),
    }
    kind, make = makes[record.name]
    return NETWORKS[kind](make()).eval().requires_grad_(False)


def table(names: Sequence[str], threads: int) -> None:
    """Print a row for each backbone, of its first stream."""
    top = peak()
    print(f"\nmatrix multiply: {top / 1e9:.0f} GFLOP/s on {threads} threads; one snippet at a time")
    print("| backbone | accuracy | feature | frames | s/snippet | GFLOP | of peak | licence |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in names:
        record = backbone_record(name)
        if record.model is not None and not importlib.util.find_spec("transformers"):
            print(f"{name}: transformers is not installed")
            continue
        network = random_network(record)
        seen = len(record.seen)
        shape = (3, seen, record.crop, record.crop)
        clip = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network.features(clip)
        runtime = TorchRuntime(network, shape)
        runtime.run(clip)
        began = clock()
        runtime.run(clip)
        # A network of seconds a snippet is measured well enough by one of them.
        seconds = clock() - began
        if seconds < 2:
            seconds = best(lambda run=runtime.run, x=clip: run(x))
        entry = network_entry(record.name, "rgb")
        work = counter.get_total_flops()
        numbers = f"{seconds:.2f} | {work / 1e9:.0f} | {work / seconds / top:.2f}"
        frames = f"{seen} of {record.crop}"
        print(f"| `{name}` | {entry.accuracy} | {record.dimension} | {frames} | ", end="")
        print(f"{numbers} | {entry.licence} |", flush=True)
    print(f"matrix multiply afterwards: {peak() / 1e9:.0f} GFLOP/s")


def main() -> None:
    """Print the tables."""
    global clock
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="backbones; all without it")
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
    if not options.names:
        inception(threads)
    table(options.names or backbone_names(), threads)


def inception(threads: int) -> None:
    """Print seconds a snippet of Inception-I3D, plain and packed."""
    with torch.inference_mode():
        network = lively(InceptionI3D(3))
        clip = torch.rand(1, *SHAPE) * 2 - 1
        work = operations(network, clip)
        before = peak()
        expected = network.features(clip)
        rows = [("torch, plain module", best(lambda: network.features(clip)), 0.0)]
        runtimes = {
            name: TorchRuntime(network, SHAPE, winograd=bool(name)) for name in ("", "winograd")
        }
        for name, runtime in runtimes.items():
            seconds = best(lambda runtime=runtime: runtime.run(clip))
            apart = float((runtime.run(clip) - expected).abs().max() / expected.max())
            rows.append((name, seconds, apart))
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


if __name__ == "__main__":
    main()
