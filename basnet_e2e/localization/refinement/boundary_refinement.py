"""Fine borders: intervals as coarse as snippets, moved to where the video changes.

Two steps, the first for nothing, the second for some snippets more. First each border goes to half
the height of its class's activation, and from there to the clearest change of the features nearby.
Then, where there is a video, snippets around the borders of the best intervals are extracted, and
borders go to the clearest change again, which these show more finely.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from basnet_e2e.heads.common.decoding_rules import Floats
from basnet_e2e.intervals import MIN_SCORE, Interval, Localization, keep_best
from basnet_e2e.localization.refinement.change_points import Snippets, change_near
from basnet_e2e.localization.refinement.half_height import half_height
from extract.pipeline.snippets import SnippetGrid


@dataclass(frozen=True)
class Refinement:
    """How far is looked. Lengths are those of snippets.

    Attributes:
        half_height: that a border may move to half the height of the activation.
        around: in which the activation outside an interval is looked for.
        reach: that a border may move to a change of the features.
        again: that it may move once more when closer snippets are there.
        outlook: on both sides of a border, in which snippets must be explained by the change.
        closer: within which the middles of closer snippets lie from a border.
        steps: closer snippets begin at multiples of a length divided by this.
        share: closer snippets at most, for each snippet of the first pass.
        edge: a border so near to the beginning or the end of the video stays; no shorter interval
            comes about.
    """

    half_height: float = 1.0
    around: float = 2.0
    reach: float = 2.0
    again: float = 1.0
    outlook: float = 3.0
    closer: float = 0.75
    steps: int = 2
    share: float = 0.4
    edge: float = 0.3


REFINEMENT = Refinement()


@dataclass(frozen=True)
class Activation:
    """Activation of the classes, as intervals are cut from it.

    Attributes:
        classes: names of the columns.
        centres: ``[n]`` seconds.
        cas: ``[n, len(classes)]``.
    """

    classes: Sequence[str]
    centres: Floats
    cas: Floats


def refine(
    found: Localization,
    snippets: Snippets,
    activation: Activation,
    settings: Refinement = REFINEMENT,
) -> Localization:
    """Intervals with their borders at changes of the features, from the first pass alone."""
    unit = snippets.length
    column = {name: index for index, name in enumerate(activation.classes)}

    def at_half_height(one: Interval) -> Interval:
        start, end = half_height(
            activation.centres,
            activation.cas[:, column[one.label]],
            (one.start, one.end),
            settings.half_height * unit,
            settings.around * unit,
        )
        return replace(one, start=start, end=end)

    moved = replace(found, intervals=[at_half_height(one) for one in found.intervals])
    return to_changes(moved, snippets, settings.reach, settings)


def to_changes(
    found: Localization, snippets: Snippets, reach: float, settings: Refinement = REFINEMENT
) -> Localization:
    """Intervals with each border at the clearest change within ``reach`` snippets."""
    unit = snippets.length
    edge = settings.edge * unit

    @functools.cache
    def change(time: float) -> float:
        if not edge <= time <= found.duration - edge:
            return time
        return change_near(snippets, time, reach * unit, settings.outlook * unit)

    return replace(found, intervals=[_moved(one, change, edge) for one in found.intervals])


def _moved(one: Interval, change: Callable[[float], float], shortest: float) -> Interval:
    start, end = change(one.start), change(one.end)
    return replace(one, start=start, end=end) if end - start >= shortest else one


def closer_frames(
    found: Localization,
    grid: SnippetGrid,
    snippets: int,
    settings: Refinement = REFINEMENT,
) -> list[int]:
    """Grid frames at which snippets should begin to look closer at borders.

    Intervals take their turn from the best on, those that overlap a better one or do not stand out
    left aside, as long as the whole stays within ``share``.

    Args:
        found: intervals of the video after the first pass.
        grid: of the first pass; its own snippets are left out.
        snippets: of the first pass.
        settings: where and how many.
    """
    step = max(1, grid.length // settings.steps)
    last = int(found.duration * grid.fps) - grid.length  # the last that fits in
    wanted: set[int] = set()
    for one in keep_best(found.intervals, MIN_SCORE):
        more = set(wanted)
        for time in (one.start, one.end):
            middle = float(time * grid.fps) - grid.length / 2
            low = np.ceil((middle - settings.closer * grid.length) / step)
            high = np.floor((middle + settings.closer * grid.length) / step)
            more |= {step * n for n in range(int(low), int(high) + 1)}
        more = {n for n in more if 0 <= n <= last and n % grid.stride}
        if len(more) > settings.share * snippets:
            break
        wanted = more
    return sorted(wanted)
