"""The class activation sequence of a video as a heat map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from basnet_e2e.intervals import Interval
from basnet_e2e.report.figures.canvas import GREY, new_figure, tidy
from basnet_e2e.report.figures.model_view import ModelView

MOST_ROWS = 25  # names below each other that can still be read


def draw_heat_map(view: ModelView, truth: Sequence[Interval] = ()) -> Figure:
    """Activation over time, one row per class, the relevant classes on top.

    Annotated intervals are framed, detected ones have a line below.

    Args:
        view: what the model sees.
        truth: annotated intervals.
    """
    classes = view.order(truth)[:MOST_ROWS]
    figure = new_figure(9, 0.28 * len(classes) + 1.5)
    axes = figure.subplots()
    columns = [view.classes.index(name) for name in classes]
    # A picture within the drawing: thousands of rows would be as many shapes.
    mesh = axes.pcolormesh(
        view.edges,
        np.arange(len(classes) + 1),
        np.clip(view.cas[:, columns], 0, 1).T,
        cmap="Greys",
        vmin=0,
        vmax=1,
        rasterized=True,
    )
    for interval in truth:
        if interval.label in classes:
            row, length = classes.index(interval.label), interval.end - interval.start
            axes.barh(row + 0.5, length, 0.92, interval.start, fc="none", ec="#0072B2", lw=1.4)
    for interval in view.result.intervals:
        if interval.label in classes:
            row, length = classes.index(interval.label), interval.end - interval.start
            axes.barh(row + 0.86, length, 0.16, interval.start, color="#D55E00")
    axes.set(xlim=(0, view.result.duration), ylim=(len(classes), 0), xlabel="seconds")
    axes.set_yticks(np.arange(len(classes)) + 0.5)
    axes.set_yticklabels(classes, fontsize=8, parse_math=False)
    figure.colorbar(mesh, ax=axes, label="activation", pad=0.01, aspect=30)
    axes.set_title(
        f"{view.result.video}\n", loc="left", fontsize=11, weight="bold", parse_math=False
    )
    marks = (["framed: annotated"] if truth else []) + (
        ["line below: detected"] if view.result.intervals else ["nothing detected"]
    )
    missing = len(view.classes) - len(classes)
    marks += [f"{missing} classes of lower score not shown"] if missing else []
    axes.text(0, 1.02, ";  ".join(marks), transform=axes.transAxes, fontsize=8, color=GREY)
    tidy(axes)
    return figure
