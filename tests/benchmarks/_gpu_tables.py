"""The tables on GPUs in ``README.md``, written from what ``gpu.json`` keeps."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import _gpu_prediction as prediction

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- written by gpu.py -->", "<!-- end of gpu.py -->"
NOT = "predicted, not measured"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def kernels(kept: dict[str, Any]) -> str:
    """Registers and spills of each kernel."""
    capabilities = list(next(iter(kept["kernels"].values())))
    head = ["kernel", *(f"sm_{capability}" for capability in capabilities)]
    rows = [
        [name, *(f"{use['registers']}, {use['spilled']}" for use in found.values())]
        for name, found in kept["kernels"].items()
    ]
    return table(head, rows)


def traffic() -> str:
    """Bytes per pixel and step of the ways to divide the work."""
    rows: list[Sequence[object]] = [("two kernels, the flow read back", "88", "88 or more")]
    for steps, name in ((1, "one kernel, a step"), (2, "**one kernel, two steps**"), (4, "four")):
        least, most = prediction.traffic(*prediction.SIZE, 64, steps)
        rows.append((name, f"{least:.0f}", f"{most:.0f}"))
    return table(["launches", "least bytes", "if memory gives every overlap"], rows)


def predictions(kept: dict[str, Any]) -> str:
    """What is predicted for each GPU with a data sheet."""
    found = kept["predicted"]
    names = list(next(iter(found.values())))
    rows = [[name, *(f"{figures[name]:.0f}" for figures in found.values())] for name in names]
    return table([NOT, *found], rows)


def measurements(kept: dict[str, Any]) -> str:
    """What was measured, beside what was predicted."""
    if not kept.get("measured"):
        return "No GPU has been measured yet: run `python tests/benchmarks/gpu.py` on one."
    parts = []
    for gpu, figures in kept["measured"].items():
        known = [kept["predicted"][name] for name in kept["predicted"] if name in gpu]
        expected = known[0] if known else {}
        rows = [
            (name, f"{value:.4g}", f"{expected[name]:.4g}" if name in expected else "")
            for name, value in figures.items()
        ]
        parts.append(table([gpu, "measured", "predicted"], rows))
    return "\n\n".join(parts)


def text(kept: dict[str, Any]) -> str:
    """All tables, as they are in ``README.md``."""
    steps = kept["steps"]
    levels = ", ".join(f"{count:.0f}" for count in steps["levels"])
    return f"""
Registers per thread and bytes spilled, read from the machine code:

{kernels(kept)}

Bytes of memory traffic per pixel and step at {prediction.SIZE[1]}x{prediction.SIZE[0]}:

{traffic()}

TV-L1 takes {levels} steps per pair on its pyramid levels, finest first (mean of
{steps["pairs"]} pairs of real video). With {prediction.BATCH} pairs per batch that gives:

{predictions(kept)}

{measurements(kept)}
"""


def write(kept: dict[str, Any]) -> None:
    """Replace the tables in ``README.md``."""
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text(kept)}\n{END}{after}", "utf-8")
