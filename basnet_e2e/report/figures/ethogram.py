"""An ethogram: what happens when, one row per video, coloured by class."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from basnet_e2e.display import colour
from basnet_e2e.intervals import Interval
from basnet_e2e.report.figures.canvas import GREY, new_figure, tidy

ROW = 0.28  # inches
ROWS = 400  # what fits into one picture


def draw_ethogram(
    videos: Mapping[str, Sequence[Interval]], durations: Mapping[str, float | None]
) -> Figure:
    """Draw the intervals of videos over time; classes that overlap share the height of the row.

    Args:
        videos: id -> intervals; one without extent is a point, drawn as a tick.
        durations: id -> seconds, where they are known; the rest of a row is grey.
    """
    labels = sorted({one.label for found in videos.values() for one in found})
    colours = {label: colour(index) for index, label in enumerate(labels)}
    ends = [one.end for found in videos.values() for one in found]
    longest = max([*ends, *(length or 0.0 for length in durations.values()), 1e-3])
    figure = new_figure(9, ROW * len(videos) + 1.2)
    axes = figure.subplots()
    height = 0.8 / max(len(labels), 1)
    for row, (name, found) in enumerate(videos.items()):
        axes.barh(row, durations.get(name) or longest, height=0.8, color="#eceff1", lw=0)
        for one in found:
            crowded = any(one.overlaps(other) for other in found if other.label != one.label)
            place = row - 0.4 + height * (labels.index(one.label) + 0.5) if crowded else row
            axes.barh(
                place,
                max(one.length, longest / 1000),
                left=one.start,
                height=height if crowded else 0.8,
                color=colours[one.label],
                lw=0,
            )
    axes.set(ylim=(len(videos) - 0.5, -0.5), xlim=(0, longest), yticks=range(len(videos)))
    axes.set_yticklabels(list(videos), fontsize=8, parse_math=False)
    axes.set_xlabel("seconds", color=GREY)
    tidy(axes)
    if labels:
        handles = [Patch(color=colours[label], label=label) for label in labels]
        legend = figure.legend(
            handles=handles, loc="outside upper left", ncols=4, fontsize=8, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure
