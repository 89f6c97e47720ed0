"""Curves of a training run from its log."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from basnet_e2e.data.training_log import HELD_OUT, LOSS, RATE, STEP, VALIDATION
from basnet_e2e.display import colour
from basnet_e2e.report.figures.canvas import GREY, new_figure, tidy

WINDOW = 25  # steps that a smoothed curve is averaged over, in a long run
WIDE = 30  # times the smallest value: terms so far apart are seen on a logarithmic axis only
SHARE = 20  # in a short one at most this part of it

Columns = Mapping[str, Sequence[float | None]]


def draw_training_curves(columns: Columns, title: str) -> Figure:
    """Loss and its parts, what a judge found where there was one, and rates, over the steps.

    Args:
        columns: of a log, see ``data.training_log.read_log``.
        title: headline.
    """
    panels = [("loss", [name for name in columns if name.split(" ")[0] == LOSS])]
    if any(value is not None for value in columns.get(VALIDATION, ())):
        panels.append(("validation mAP in %", [VALIDATION]))
    if any(value is not None for value in columns.get(HELD_OUT, ())):
        panels.append(("loss held out", [HELD_OUT]))
    panels.append(("rate", [name for name in columns if name.split(" ")[0] == RATE]))
    heights = [3.0, *(1.4 for _ in panels[1:])]
    figure = new_figure(7.2, sum(heights) + 0.6)
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for each, (name, curves) in zip(axes, panels, strict=True):
        for index, curve in enumerate(curves):
            _plot(each, columns, curve, index, smoothed=name == "loss")
        each.set_ylabel(name, fontsize=8, color=GREY)
        each.grid(axis="y", color="#e0e0e0", lw=0.6)
        tidy(each)
    _scale(axes[0], columns, panels[0][1])
    if len(panels[0][1]) > 1:
        axes[0].legend(fontsize=8, frameon=False)
    axes[-1].set_ylim(bottom=0)
    axes[-1].set_xlabel("step")
    axes[0].set_title(title, loc="left", fontsize=11, weight="bold", parse_math=False)
    return figure


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of each value and those before it, ``window`` of them where there are as many."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return np.asarray((sums[stop] - sums[start]) / (stop - start))


def _scale(axes: Axes, columns: Columns, names: Sequence[str]) -> None:
    """A logarithmic axis for terms of very different sizes, which are shown unweighted."""
    values = [value for name in names for value in columns[name] if value is not None]
    if values and min(values) > 0 and max(values) > WIDE * min(values):
        axes.set_yscale("log")


def _plot(axes: Axes, columns: Columns, name: str, index: int, *, smoothed: bool) -> None:
    rows = [
        (step, value)
        for step, value in zip(columns[STEP], columns[name], strict=True)
        if step is not None and value is not None
    ]
    if not rows:
        return
    steps, values = np.array(rows).T
    shade = colour(index)
    if not smoothed:
        scale = 100 if name == VALIDATION else 1
        dots = "o-" if name in (VALIDATION, HELD_OUT) else "-"
        axes.plot(steps, scale * values, dots, ms=3, color=shade)
        return
    label = "total" if name == LOSS else name.removeprefix(f"{LOSS} ")
    axes.plot(steps, values, lw=0.6, alpha=0.3, color=shade)
    window = max(1, min(WINDOW, len(values) // SHARE))
    axes.plot(steps, running_mean(values, window), lw=1.4, color=shade, label=label)
