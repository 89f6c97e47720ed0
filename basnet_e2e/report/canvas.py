"""What all pictures share: colours, and writing them whole and without a clock inside."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from basnet_e2e.colours import COLOURS, colour
from weights.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GREY", "colour", "new_figure", "save", "tidy"]
GREY = "#5f6368"
SUFFIXES = (".png", ".svg")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, size in inches, that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: "Axes") -> None:
    """No box around the data, ticks in grey."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelsize=8)


def save(figure: "Figure", path: str | os.PathLike[str]) -> list[Path]:
    """Write a figure as ``<path>.png`` and ``<path>.svg``; equal figures give equal bytes."""
    import matplotlib

    written = []
    for suffix in SUFFIXES:
        target = Path(f"{os.fspath(path)}{suffix}")
        # SVG would carry the date and random ids.
        with (
            matplotlib.rc_context({"svg.hashsalt": "basnet", "svg.fonttype": "none"}),
            atomic_write(target) as file,
        ):
            metadata = {"Date": None} if suffix == ".svg" else None
            figure.savefig(file, format=suffix[1:], dpi=150, metadata=metadata)
        written.append(target)
    return written
