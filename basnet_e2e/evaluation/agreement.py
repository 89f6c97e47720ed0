"""How far two annotations of the same videos agree: Cohen's kappa on a grid of fixed steps.

Cohen, "A coefficient of agreement for nominal scales", 1960: kappa = (p_o - p_e) / (1 - p_e), where
p_o is the observed agreement and p_e what two annotators with the same habits reach by chance.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo
from basnet_e2e.interchange.compared import Pair
from basnet_e2e.intervals import Floats

NOTHING = "no action"
DRAWS = 1000
ROUNDING = 1e-9  # of a step: 4.3 / 0.1 is a little below 43
MOST_STEPS = 1e8
TAIL = 2.5  # percent of the draws on each side of a 95 % interval


@dataclass(frozen=True)
class Score:
    """Agreement on one question.

    Attributes:
        kappa: Cohen's kappa; None if both annotations say the same thing all the time.
        percent: share of the time on which both agree, in percent; None if no time is compared.
        low: lower bound of the 95 % interval of kappa over videos; None for a single video.
        high: upper bound.
    """

    kappa: float | None
    percent: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Agreement:
    """Agreement of two annotations of several videos.

    Attributes:
        seconds: time that was compared.
        overall: what happens (a class, several at once, or nothing).
        classes: class -> whether it happens.
        categories: what happens, in the order of the rows and columns of ``confusion``.
        confusion: ``[K, K]`` seconds that the first annotation (row) and the second (column) give
            to a category.
    """

    seconds: float
    overall: Score
    classes: dict[str, Score]
    categories: list[str]
    confusion: Floats

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return asdict(self) | {"confusion": self.confusion.tolist()}


def agreement(
    pairs: Sequence[Pair], step: float = 0.1, draws: int = DRAWS, seed: int = 0
) -> Agreement:
    """Compare two annotations at the middle of every step that both looked at.

    Args:
        pairs: the videos.
        step: seconds.
        draws: draws of videos with replacement for the intervals of kappa.
        seed: of the draws.

    Raises:
        BasnetError: the grid has more than a hundred million steps.
    """
    every = [side for pair in pairs for side in (pair.first, pair.second)]
    classes = sorted({one.label for side in every for one in side.intervals})
    steps = sum(pair.duration / step for pair in pairs)
    if steps > MOST_STEPS:
        raise BasnetError(f"{steps:.0f} steps of {step:g} s are too many; choose a longer --step")
    numbers: dict[bytes, int] = {bytes(len(classes)): 0}
    counts: list[dict[tuple[int, int], int]] = []
    for pair in pairs:
        sides = [_active(side, pair.duration, classes, step) for side in (pair.first, pair.second)]
        rows, times = np.unique(
            np.hstack(sides)[_looked_at(pair, step)], axis=0, return_counts=True
        )
        counts.append({})
        for row, count in zip(rows, times, strict=True):
            halves = (row[: len(classes)], row[len(classes) :])
            one, other = (numbers.setdefault(half.tobytes(), len(numbers)) for half in halves)
            counts[-1][one, other] = int(count)
    cells = sorted({both for video in counts for both in video})
    table = np.array([[video.get(both, 0) for both in cells] for video in counts], np.float64)
    weights = _draws(len(pairs), draws, seed)
    first, second = (np.array([both[side] for both in cells], np.intp) for side in (0, 1))
    members = np.array([list(key) for key in numbers], bool).reshape(len(numbers), len(classes))
    confusion = np.zeros((len(numbers), len(numbers)))
    confusion[first, second] = table.sum(axis=0) * step
    return Agreement(
        seconds=float(table.sum() * step),
        overall=_score(table, first, second, weights),
        classes={
            name: _score(table, members[first, column], members[second, column], weights)
            for column, name in enumerate(classes)
        },
        categories=[_category(row, classes) for row in members],
        confusion=confusion,
    )


def kappa(counts: Floats, first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Cohen's kappa of counted pairs of categories.

    Args:
        counts: ``[..., P]`` how often each pair occurs.
        first: ``[P]`` category of the first annotation in each pair, from 0.
        second: ``[P]`` likewise.

    Returns:
        ``[...]``; NaN if chance alone agrees.

    >>> kappa(np.array([20.0, 5, 10, 15]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])).round(6)
    np.float64(0.4)
    """
    highest = int(max(first.max(initial=0), second.max(initial=0))) + 1
    one_hot = np.eye(highest)
    total = counts.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = (counts * (first == second)).sum(axis=-1) / total
        rows, columns = counts @ one_hot[first.astype(int)], counts @ one_hot[second.astype(int)]
        chance = (rows * columns).sum(axis=-1) / total**2
        return np.asarray(np.where(chance < 1, (observed - chance) / (1 - chance), np.nan))[()]


def _score(table: Floats, first: NDArray[Any], second: NDArray[Any], weights: Floats) -> Score:
    total = table.sum(axis=0)
    agreed = 100 * float((total * (first == second)).sum() / total.sum()) if total.sum() else None
    value = float(kappa(total, first, second))
    bounds: list[float] = []
    drawn = kappa(weights @ table, first, second) if len(weights) else np.empty(0)
    if np.isfinite(drawn).any():
        bounds = np.nanpercentile(drawn, [TAIL, 100 - TAIL]).tolist()
    return Score(value if math.isfinite(value) else None, agreed, *bounds)


def _draws(videos: int, draws: int, seed: int) -> Floats:
    """How often each draw holds each video, ``[draws, videos]``; none for a single video."""
    if videos < 2:
        return np.empty((0, videos))
    generator = np.random.default_rng(seed)
    return generator.multinomial(videos, np.full(videos, 1 / videos), size=draws).astype(float)


def _times(duration: float, step: float) -> Floats:
    """Middles of the steps, as many as lie within the video, and one at least."""
    count = max(math.ceil(duration / step - 0.5 - ROUNDING), 1)
    return np.asarray((np.arange(count) + 0.5) * step, np.float64)


def _active(
    side: AnnotatedVideo, duration: float, classes: Sequence[str], step: float
) -> NDArray[np.uint8]:
    """Whether each class happens at each step, ``[steps, classes]``."""
    times = _times(duration, step)
    active = np.zeros((len(times), len(classes)), np.uint8)
    for one in side.intervals:
        column = classes.index(one.label)
        active[(times >= one.start) & (times < one.end), column] = 1
        if one.length == 0:
            cell = math.floor(one.start / step + ROUNDING)
            active[min(cell, len(times) - 1), column] = 1
    return active


def _looked_at(pair: Pair, step: float) -> NDArray[np.bool_]:
    """Steps that both annotators looked at."""
    times = _times(pair.duration, step)
    looked_at = np.ones(len(times), bool)
    for start, end in (*pair.first.unknown, *pair.second.unknown):
        looked_at &= (times < start) | (times >= end)
    return looked_at


def _category(row: NDArray[np.bool_], classes: Sequence[str]) -> str:
    return " + ".join(name for name, active in zip(classes, row, strict=True) if active) or NOTHING
