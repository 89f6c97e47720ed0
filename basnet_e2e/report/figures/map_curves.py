"""Curves of mAP against temporal IoU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from basnet_e2e.display import colour
from basnet_e2e.report.figures.canvas import GREY, new_figure, tidy


@dataclass(frozen=True)
class MapCurve:
    """One method.

    Attributes:
        tious: thresholds.
        values: mAP in percent.
        low: lowest of several runs, at the same thresholds; none where there is one run.
        high: highest of them.
    """

    tious: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def map_curves(
    ours: Mapping[str, MapCurve], published: Mapping[str, MapCurve], title: str, subtitle: str = ""
) -> Figure:
    """Mean average precision against temporal IoU, ours solid and published dashed.

    Args:
        ours: name -> curve; a band shows the range of several runs.
        published: curves of the same names get the same colour.
        title: headline.
        subtitle: smaller line below it.
    """
    figure = new_figure(7.2, 4.4)
    axes = figure.subplots()
    names = list(dict.fromkeys([*ours, *published]))
    for index, name in enumerate(names):
        shade = colour(index)
        if name in ours:
            curve = ours[name]
            axes.plot(curve.tious, curve.values, "o-", ms=3.5, color=shade, label=name)
            if curve.low is not None and curve.high is not None:
                axes.fill_between(curve.tious, curve.low, curve.high, color=shade, alpha=0.15, lw=0)
        if name in published:
            curve = published[name]
            label = f"{name}, published"
            axes.plot(curve.tious, curve.values, "--", lw=1.2, color=shade, label=label)
    axes.set(xlabel="temporal IoU", ylabel="mAP in %", ylim=(0, None))
    axes.grid(axis="y", color="#e0e0e0", lw=0.6)
    axes.set_title(f"{title}\n", loc="left", fontsize=11, weight="bold", parse_math=False)
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, fontsize=8, color=GREY, parse_math=False)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)
    return figure
