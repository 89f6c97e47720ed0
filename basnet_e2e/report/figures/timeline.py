"""One video over time: annotated actions, detections, activation and foreground weight."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basnet_e2e.display import colour
from basnet_e2e.intervals import Interval
from basnet_e2e.report.figures.canvas import GREY, new_figure, tidy
from basnet_e2e.report.figures.model_view import ModelView


def draw_timeline(view: ModelView, truth: Sequence[Interval] = ()) -> Figure:
    """The paper's qualitative figure: ground truth, detections, CAS and foreground weight.

    Args:
        view: what the model sees.
        truth: annotated intervals.
    """
    found, curves = view.result.intervals, view.curves(truth)
    labels = list(dict.fromkeys([*(one.label for one in [*truth, *found]), *curves]))
    colours = {label: colour(index) for index, label in enumerate(labels)}
    bars = max(1, len(labels))
    heights = [0.25 * bars + 0.15, 0.25 * bars + 0.15, 1.2]
    if view.foreground is not None:
        heights.append(1.2)
    figure = new_figure(9, sum(heights) + 1.3)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _bars(axes[0], truth, labels, colours, "ground truth")
    _bars(axes[1], found, labels, colours, "detections")
    for label, curve in curves.items():
        axes[2].plot(view.centres, curve, lw=1.2, color=colours[label])
    axes[2].set(ylim=(-0.05, 1.05), yticks=(0, 1))
    axes[2].set_ylabel("activation", fontsize=8, color=GREY)
    if view.foreground is not None:
        axes[3].plot(view.centres, view.foreground, lw=1.2, color="black")
        axes[3].axhline(0.5, color=GREY, lw=0.6, ls=":")
        axes[3].set(ylim=(-0.05, 1.05), yticks=(0, 1))
        axes[3].set_ylabel("foreground", fontsize=8, color=GREY)
    for each in axes:
        for interval in truth:
            each.axvspan(
                interval.start, interval.end, color=colours[interval.label], alpha=0.10, lw=0
            )
        each.set_xlim(0, view.result.duration)
        tidy(each)
    axes[-1].set_xlabel("seconds")
    axes[0].set_title(view.result.video, loc="left", fontsize=11, weight="bold", parse_math=False)
    return figure


def _bars(
    axes: Axes,
    intervals: Sequence[Interval],
    labels: Sequence[str],
    colours: Mapping[str, str],
    name: str,
) -> None:
    """Intervals as bars, one row per class, higher scores in fuller colour."""
    rows = {label: len(labels) - 1 - index for index, label in enumerate(labels)}
    surest = max((interval.score for interval in intervals), default=1.0) or 1.0
    for interval in intervals:
        axes.barh(
            rows[interval.label],
            interval.end - interval.start,
            left=interval.start,
            height=0.7,
            color=colours[interval.label],
            alpha=0.25 + 0.75 * max(0.0, min(1.0, interval.score / surest)),
        )
    axes.set(ylim=(-0.6, max(len(labels), 1) - 0.4), yticks=list(rows.values()))
    axes.set_yticklabels(list(rows), fontsize=8, parse_math=False)
    # On the right, since class names may be long.
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(name, fontsize=8, color=GREY, rotation=0, ha="left", va="center")
