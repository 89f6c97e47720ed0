"""Seconds per snippet of each backbone, beside this machine's matrix-multiply peak.

Run: ``python tests/benchmarks/backbones.py [--threads N] [--keep MACHINE] [NAME...]``. The weights
are random: only time is measured, and how far I3D's kernels are from the plain module. Peaks are
measured before and after, since a machine may be shared. First Inception-I3D in detail; then all
networks. With names, only these.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from extract.backbones.i3d import InceptionI3D, Unit3D
from extract.backbones.registry import backbone_names, backbone_spec
from extract.backbones.spec import BackboneSpec
from extract.backbones.transformers_network import NETWORKS
from extract.inference.torch_runtime import TorchRuntime
from weights.manifest import network as network_entry

SHAPE = (3, 16, 224, 224)
KEPT = Path(__file__).with_suffix(".json")
README = Path(__file__).resolve().parents[2] / "extract" / "backbones" / "README.md"
BEGIN, END = "<!-- written by tests/benchmarks/backbones.py -->", "<!-- end -->"
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


def random_network(spec: BackboneSpec) -> torch.nn.Module:
    """A backbone's network with random weights; one of transformers from its configuration."""
    if spec.model is None:
        found = spec.build(spec.streams[0], network_entry(spec.name, "rgb").classes or 6)
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
    kind, make = makes[spec.name]
    return NETWORKS[kind](make()).eval().requires_grad_(False)


def measure(names: Sequence[str], threads: int) -> dict[str, dict[str, float]]:
    """Seconds per snippet and operations of each backbone's first stream, printed on the way."""
    top = peak()
    print(f"\nmatrix multiply: {top / 1e9:.0f} GFLOP/s on {threads} threads; one snippet at a time")
    found = {}
    for name in names:
        spec = backbone_spec(name)
        if spec.model is not None and not importlib.util.find_spec("transformers"):
            print(f"{name}: transformers is not installed")
            continue
        network = random_network(spec)
        shape = (3, len(spec.seen), spec.crop, spec.crop)
        clip = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network.features(clip)
        runtime = TorchRuntime(network, shape, winograd=spec.winograd)
        runtime.run(clip)
        began = clock()
        runtime.run(clip)
        # One run is enough for a network that takes seconds per snippet.
        seconds = clock() - began
        if seconds < 2:
            seconds = best(lambda run=runtime.run, x=clip: run(x))
        work = counter.get_total_flops()
        found[name] = {"seconds": round(seconds, 3), "gflop": round(work / 1e9, 1)}
        print(f"{name:15}{seconds:7.2f} s, {work / seconds / top:.2f} of the peak", flush=True)
    print(f"matrix multiply afterwards: {peak() / 1e9:.0f} GFLOP/s")
    return found


def keep(found: dict[str, dict[str, float]], machine: str) -> None:
    """Store what was measured and write the table of ``extract/backbones/README.md``."""
    kept = json.loads(KEPT.read_text())
    if found:
        kept = {"machine": machine, "networks": kept["networks"] | found}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    before, rest = README.read_text().split(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{table(kept)}\n{END}{after}")


def table(kept: dict[str, Any]) -> str:
    """The table of all networks that were measured, in Markdown."""
    lines = [
        "| network | published accuracy | feature | frames | s/snippet | GFLOP | licence |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figures in kept["networks"].items():
        spec, entry = backbone_spec(name), network_entry(name, "rgb")
        star = "" if spec.model is None else "*"
        frames = f"{len(spec.seen)} of {spec.crop}"
        work = f"{figures['gflop']:.0f}" if figures["gflop"] >= 1 else "< 1"
        cells = (
            *(f"`{name}`{star}", entry.accuracy, spec.dimension, frames),
            *(f"{figures['seconds']:.3g}", work, entry.licence),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"Seconds per snippet of the RGB stream on {kept['machine']}."])


def main() -> None:
    """Print the tables."""
    global clock
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="backbones; default: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count processor time, for a machine that others use; one thread",
    )
    parser.add_argument(
        "--keep",
        metavar="MACHINE",
        help="store the results and write the table of extract/backbones/README.md; describe the "
        "machine, e.g. 'two cores that multiply matrices at 121 GFLOP/s'",
    )
    parser.add_argument("--table", action="store_true", help="only write that table again")
    options = parser.parse_args()
    if options.table:
        keep({}, "")
        return
    threads = 1 if options.processor_time else options.threads
    if options.processor_time:
        clock = time.process_time
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if not options.names:
        inception(threads)
    found = measure(options.names or backbone_names(), threads)
    if options.keep:
        keep(found, options.keep)


def inception(threads: int) -> None:
    """Print seconds a snippet of Inception-I3D, plain and packed."""
    with torch.inference_mode():
        network = lively(InceptionI3D(3))
        clip = torch.rand(1, *SHAPE) * 2 - 1
        work = operations(network, clip)
        before = peak()
        expected = network.features(clip)
        rows = [("torch, plain module", best(lambda: network.features(clip)), 0.0)]
        for name in ("packed kernels", "winograd"):
            runtime = TorchRuntime(network, SHAPE, winograd=name == "winograd")
            seconds = best(lambda run=runtime.run: run(clip))
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
