"""What a GPU should do, counted without one: bytes, instructions and operations by its data sheet.

Nothing here is measured on a GPU. Counted are the bytes and instructions of the fused flow kernels,
the steps that TV-L1 takes on real video, and the operations of the networks.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from extract.backbones.registry import BACKBONES
from extract.flow.tvl1 import steps, torch_engine
from extract.flow.tvl1.params import TVL1Params, pyramid_sizes
from extract.flow.tvl1.solver import check_frames
from extract.flow.tvl1.triton_engine import segment_rows
from extract.streams import CHANNELS

KEPT = Path(__file__).with_name("gpu.json")
SIZE = (256, 341)
BATCH = 256
"""Pairs per batch in extraction: 16 snippets of 16 frames."""
LANES = 32
EFFICIENCY = 0.4
"""Share of the peak that networks are expected to reach."""


@dataclass(frozen=True)
class Gpu:
    """A data sheet.

    Attributes:
        capability: compute capability.
        bandwidth: of the memory, bytes per second.
        instructions: threads times instructions per second: multiprocessors, 4 schedulers of 32
            threads, boost clock.
        peaks: operations per second by precision, without sparsity.
    """

    capability: int
    bandwidth: float
    instructions: float
    peaks: Mapping[str, float]


HOPPER = {"float32": 67e12, "tf32": 495e12, "bfloat16": 990e12, "float16": 990e12}
GPUS = {
    "A100": Gpu(
        *(80, 2.04e12, 108 * 128 * 1.41e9),
        {"float32": 19.5e12, "tf32": 156e12, "bfloat16": 312e12, "float16": 312e12},
    ),
    "H100": Gpu(90, 3.35e12, 132 * 128 * 1.98e9, HOPPER),
    "H200": Gpu(90, 4.8e12, 132 * 128 * 1.98e9, HOPPER),
}


def traffic(height: int, width: int, rows: int, steps: int) -> tuple[float, float]:
    """Bytes that a launch moves per pixel and step.

    The first number is the least, every float once: ten read and six written. The second has what
    neighbouring pieces share read again by each of them.

    Args:
        height: of the image.
        width: of the image.
        rows: of a piece.
        steps: per launch.
    """
    owned = LANES - 4 if steps <= 2 else LANES - 2 * steps
    columns = sum(min(x - steps + LANES, width) - max(x - steps, 0) for x in range(0, width, owned))
    lines = sum(min(y + rows + steps, height) - max(y - steps, 0) for y in range(0, height, rows))
    again = columns * lines / (height * width)
    return 64 / steps, (40 * again + 24) / steps


def overlap(height: int, width: int, rows: int, steps: int) -> float:
    """Pixels that the threads of a launch work on, for each pixel of the image."""
    owned = LANES - 4
    strips, pieces = -(-width // owned), -(-height // rows)
    return strips * LANES * (pieces * (rows + 2 * steps)) / (height * width)


def flow_rates(gpu: Gpu, loop: int, levels: list[float]) -> tuple[float, float]:
    """Pairs per second of the fused kernels, as memory and as instructions bound them.

    Args:
        gpu: the data sheet.
        loop: instructions for a row of two steps.
        levels: steps per pair on each pyramid level, finest first.
    """
    params, moved, issued = TVL1Params(), 0.0, 0.0
    for (height, width), count in zip(pyramid_sizes(*SIZE, params), levels, strict=True):
        pixels = height * width
        rows = segment_rows(BATCH * -(-width // (LANES - 4)), height)
        moved += count * pixels * traffic(height, width, rows, 2)[1]
        # A linearisation reads flow, first image and interleaved second one, and writes four.
        moved += params.warps * pixels * 4 * (2 + 1 + 4 + 4)
        issued += count / 2 * pixels * overlap(height, width, rows, 2) * loop
    return gpu.bandwidth / moved, gpu.instructions / issued


def counted_steps(frames: list[Any]) -> list[float]:
    """Mean steps per pair and pyramid level, finest first, of grey pairs ``[2, H, W]``."""
    params, plain = TVL1Params(), steps.step
    total = [0] * params.scales
    sizes: list[tuple[int, int]] = []

    def counting(state: Any, *arguments: Any) -> Any:
        total[sizes.index(tuple(state.flow.shape[2:]))] += 1
        return plain(state, *arguments)

    steps.step = counting
    try:
        for pair in frames:
            sizes[:] = pyramid_sizes(*pair.shape[1:], params)
            torch_engine.solve_pairs(check_frames(pair), params)
    finally:
        steps.step = plain
    return [count / len(frames) for count in total]


def operations() -> dict[str, float]:
    """Floating-point operations per snippet of I3D's streams and per pair of RAFT."""
    from torchvision.models.optical_flow import raft_large, raft_small

    spec, found = BACKBONES["i3d"], {}

    def count(name: str, work: Any) -> None:
        with FlopCounterMode(display=False) as counter:
            work()
        found[name] = float(counter.get_total_flops())

    with torch.device("meta"), torch.no_grad():
        for stream in spec.streams:
            network = spec.build(stream, 400).eval()
            shape = (1, CHANNELS[stream], spec.length, spec.crop, spec.crop)
            count(stream, lambda: network.features(torch.empty(shape)))  # noqa: B023  # at once
        for name, make in (("RAFT-small", raft_small), ("RAFT", raft_large)):
            network = make(weights=None).eval()
            pair = torch.empty((2, 1, 3, 256, 344))
            count(name, lambda: network(*pair, num_flow_updates=12))  # noqa: B023  # at once
    return found


def predicted(gpu: Gpu, kept: dict[str, Any]) -> dict[str, float]:
    """Figures of a GPU by name, as ``gpu.py`` measures them."""
    loop = kept["kernels"]["two steps"][str(gpu.capability)]["loop"]
    memory, instructions = flow_rates(gpu, loop, kept["steps"]["levels"])
    figures = {"TV-L1 pairs/s": min(memory, instructions)}
    figures |= {"TV-L1 pairs/s, by memory": memory, "TV-L1 pairs/s, by instructions": instructions}
    work = kept["operations"]
    for name in ("RAFT-small", "RAFT"):
        figures[f"{name} pairs/s"] = EFFICIENCY * gpu.peaks["float32"] / work[name]
    for stream in ("rgb", "flow"):
        for precision, peak in gpu.peaks.items():
            figures[f"I3D {stream} {precision} snippets/s"] = EFFICIENCY * peak / work[stream]
    return figures


def count_again(kept: dict[str, Any], videos: Path) -> None:
    """Count all that predictions need; steps only if the folder of real videos is there."""
    import gpu_code
    from flow_reference import real_pairs

    kept["kernels"] = {
        variant: {
            str(capability): gpu_code.use(variant, capability)._asdict()
            for capability in (80, 89, 90, 100)
        }
        for variant in gpu_code.VARIANTS
    }
    kept["operations"] = operations()
    if videos.exists():
        pairs = [pair.frames for pair in real_pairs(videos)]
        kept["steps"] = {"pairs": len(pairs), "levels": counted_steps(pairs)}
    kept["predicted"] = {name: predicted(gpu, kept) for name, gpu in GPUS.items()}


def load() -> dict[str, Any]:
    """What is kept from earlier runs."""
    kept: dict[str, Any] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    return kept


def save(kept: dict[str, Any]) -> None:
    """Keep what was counted and measured."""
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
