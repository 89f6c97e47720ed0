"""Fine borders: move intervals that are as coarse as snippets to where the video changes.

The first step needs the features alone: each border moves to half the height of its class's
activation, then to the clearest change of the features nearby. The second step needs the video:
it extracts extra snippets around the borders of the best intervals, and borders move to the
clearest change once more.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from basnet_e2e.intervals import MIN_SCORE, Interval, Localization, keep_best
from basnet_e2e.localization.predictor import VideoPrediction
from basnet_e2e.localization.refinement.change_points import Snippets, change_near
from basnet_e2e.localization.refinement.half_height import half_height
from extract.pipeline.snippets import SnippetGrid


@dataclass(frozen=True)
class Refinement:
    """How far borders may move. Lengths are multiples of a snippet's length.

    Attributes:
        half_height: how far a border may move to half the height of the activation.
        around: how far outside an interval its surrounding activation is measured.
        reach: how far a border may move to a change of the features.
        second_reach: how far it may move once more on extra snippets.
        context: snippets this close to a border must be explained by the change.
        closeness: the centres of extra snippets are this close to a border.
        steps: extra snippets start at multiples of a snippet's length divided by this.
        share: most extra snippets per snippet of the first pass.
        edge: borders this close to an end of the video do not move, and no shorter interval is
            made.
    """

    half_height: float = 1.0
    around: float = 2.0
    reach: float = 2.0
    second_reach: float = 1.0
    context: float = 3.0
    closeness: float = 0.75
    steps: int = 2
    share: float = 0.4
    edge: float = 0.3


REFINEMENT = Refinement()


def refine(found: VideoPrediction) -> Localization:
    """Move the borders of the intervals of a first pass to changes of its features."""
    snippets = Snippets.of([found.rows])
    unit = snippets.length
    column = {name: index for index, name in enumerate(found.classes)}

    def at_half_height(one: Interval) -> Interval:
        start, end = half_height(
            found.centres,
            found.cas[:, column[one.label]],
            (one.start, one.end),
            REFINEMENT.half_height * unit,
            REFINEMENT.around * unit,
        )
        return replace(one, start=start, end=end)

    moved = [at_half_height(one) for one in found.localization.intervals]
    return to_changes(replace(found.localization, intervals=moved), snippets, REFINEMENT.reach)


def to_changes(found: Localization, snippets: Snippets, reach: float) -> Localization:
    """Move each border to the clearest change within ``reach`` snippets."""
    unit = snippets.length
    edge = REFINEMENT.edge * unit

    @functools.cache
    def change(time: float) -> float:
        if not edge <= time <= found.duration - edge:
            return time
        return change_near(snippets, time, reach * unit, REFINEMENT.context * unit)

    def moved(one: Interval) -> Interval:
        start, end = change(one.start), change(one.end)
        return replace(one, start=start, end=end) if end - start >= edge else one

    return replace(found, intervals=[moved(one) for one in found.intervals])


def extra_frames(
    found: Localization,
    grid: SnippetGrid,
    snippets: int,
    settings: Refinement = REFINEMENT,
) -> list[int]:
    """Grid frames at which to start extra snippets around borders.

    The best intervals come first, until ``share`` is used up. Intervals that overlap a better one
    or do not stand out are left out.

    Args:
        found: intervals of the video after the first pass.
        grid: of the first pass; its own snippets are left out.
        snippets: number of snippets of the first pass.
        settings: where and how many.
    """
    step = max(1, grid.length // settings.steps)
    last = int(found.duration * grid.fps) - grid.length  # of the last complete snippet
    wanted: set[int] = set()
    for one in keep_best(found.intervals, MIN_SCORE):
        more = set(wanted)
        for time in (one.start, one.end):
            middle = float(time * grid.fps) - grid.length / 2
            low = np.ceil((middle - settings.closeness * grid.length) / step)
            high = np.floor((middle + settings.closeness * grid.length) / step)
            more |= {step * n for n in range(int(low), int(high) + 1)}
        more = {n for n in more if 0 <= n <= last and n % grid.stride}
        if len(more) > settings.share * snippets:
            break
        wanted = more
    return sorted(wanted)
