"""In which order people are offered videos to look at.

Active learning with four measures, each in [0, 1]: whether nobody has said what happens in the
video, how unsure the model is of it, how much of what it would show has hardly been corrected
before, and how many other videos look like it but like no corrected one. Videos are chosen one by
one, since the first changes what the second would teach (greedy, as for facility location; Wei,
Iyer and Bilmes, ICML 2015). ``tests/benchmarks/studio_loop.py`` measures what the order is worth:
with 5 corrections after 10 labels as much as a random order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEW = 2.0  # corrected videos of a class after which one more teaches half as much
WEIGHTS = {"new": 1.0, "unsure": 0.25, "rare": 0.5, "typical": 1.0}


@dataclass(frozen=True)
class Candidate:
    """What the model found in a video, and what is known of it.

    Attributes:
        video: id.
        scores: class -> video-level score in [0, 1].
        intervals: class and score of each interval found.
        mean: ``[F]`` mean of its features, where the model found something.
        state: of its annotation.
        labels: classes that people named; None where they did not.
    """

    video: str
    scores: dict[str, float]
    intervals: tuple[tuple[str, float], ...]
    mean: Floats
    state: str
    labels: tuple[str, ...] | None


@dataclass(frozen=True)
class Offer:
    """A video to look at next, and why."""

    video: str
    why: str


def ranked(
    candidates: Sequence[Candidate],
    classes: Sequence[str],
    most: int = 100,
    weights: Mapping[str, float] = WEIGHTS,
) -> list[Offer]:
    """Videos whose actions are not all marked, the one that teaches most first.

    Args:
        candidates: all videos that the model has looked at.
        classes: of the model.
        most: the greedy choice ends after so many.
        weights: of the measures.
    """
    open_ = [index for index, each in enumerate(candidates) if each.state != "corrected"]
    if not open_:
        return []
    chances = np.array([[_chance(each, name) for name in classes] for each in candidates])
    chances = chances.reshape(len(candidates), len(classes))
    unsure = np.array([_unsure(each, row) for each, row in zip(candidates, chances, strict=True)])
    distance = _distances(np.stack([each.mean for each in candidates]))
    done = [index for index, each in enumerate(candidates) if each.state == "corrected"]
    shown = chances[done].sum(axis=0) if done else np.zeros(len(classes))
    nearest = distance[done].min(axis=0) if done else np.ones(len(candidates))
    new = np.array([each.labels is None for each in candidates], np.float64)
    found: list[Offer] = []
    while open_ and len(found) < most:
        rare = chances * (1 / (1 + shown / FEW))
        gain = np.clip(nearest[None] - distance, 0, None).sum(axis=1)
        parts = {
            "new": new,
            "unsure": unsure,
            "rare": rare.max(axis=1, initial=0.0),
            "typical": gain / (gain.max() or 1.0),
        }
        worth = sum(weights[name] * values for name, values in parts.items())
        best = max(open_, key=lambda index: float(worth[index]))
        chosen = candidates[best]
        found.append(Offer(chosen.video, _why(chosen, best, parts, classes, rare)))
        open_.remove(best)
        shown = shown + chances[best]
        nearest = np.minimum(nearest, distance[best])
    return found


def _chance(candidate: Candidate, name: str) -> float:
    """That a class occurs: certain where people said so."""
    if candidate.labels is not None:
        return float(name in candidate.labels)
    return min(max(candidate.scores.get(name, 0.0), 0.0), 1.0)


def _unsure(candidate: Candidate, chances: Floats) -> float:
    """0 where every class and interval is clear, 1 where they could be anything."""
    classes = float((4 * chances * (1 - chances)).max(initial=0.0))
    scores = [score for _, score in candidate.intervals]
    # Where nothing is found though something should be there, nothing is clear.
    faint = 1 - min(max(float(np.mean(scores)), 0.0), 1.0) if scores else float(chances.max())
    return (classes + faint) / 2


def _distances(means: Floats) -> Floats:
    """Cosine distances of standardised means ``[n, n]``, divided by the largest."""
    spread = means.std(axis=0)
    scaled = (means - means.mean(axis=0)) / np.where(spread > 0, spread, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit = scaled / np.where(length > 0, length, 1)
    distance = np.clip(1 - unit @ unit.T, 0, None)
    return np.asarray(distance / (distance.max() or 1.0))


def _why(
    candidate: Candidate, row: int, parts: dict[str, Floats], classes: Sequence[str], rare: Floats
) -> str:
    """One line: what makes this video teach more than others."""
    lead = {name: values[row] - values.mean() for name, values in parts.items() if name != "new"}
    reason = max(lead, key=lambda name: WEIGHTS[name] * lead[name])
    if reason == "rare":
        return f"few corrected videos show {classes[int(rare[row].argmax())]}"
    if reason == "typical":
        return "many videos look like this one, and none of them is corrected"
    if candidate.labels is None and candidate.scores:
        ordered = sorted(candidate.scores, key=lambda name: -candidate.scores[name])
        return f"unsure whether this is {' or '.join(ordered[:2])}"
    if candidate.labels and not candidate.intervals:
        return f"found no {candidate.labels[0]} though you said that there is some"
    return "the borders that the model found are faint"
