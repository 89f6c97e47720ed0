"""What all pictures share: colours, and writing them whole and without a clock inside."""

import os
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weights.files import atomic_write

GREY = "#5f6368"
SUFFIXES = (".png", ".svg")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, size in inches, that belongs to no window."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes) -> None:
    """No box around the data, ticks in grey."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelsize=8)


def save(figure: Figure, path: str | os.PathLike[str]) -> list[Path]:
    """Write a figure as ``<path>.png`` and ``<path>.svg``; equal figures give equal bytes."""
    return [save_picture(figure, f"{os.fspath(path)}{suffix}") for suffix in SUFFIXES]


def save_picture(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as its suffix says (png, svg, pdf); equal figures give equal bytes."""
    target = Path(path)
    form = target.suffix[1:].lower()
    # SVG would carry the date and random ids, PDF the date.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with (
        matplotlib.rc_context(
            {"svg.hashsalt": "basnet", "svg.fonttype": "none", "pdf.fonttype": 42}
        ),
        atomic_write(target) as file,
    ):
        figure.savefig(file, format=form, dpi=150, metadata=metadata)
    return target
