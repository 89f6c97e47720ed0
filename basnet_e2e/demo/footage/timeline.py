"""Plan an untrimmed video: actions at random times among distractors.

Six classes, each a look and a motion. Every look belongs to two classes and every motion to two, so
neither tells the class alone. An actor is on stage before and after its action, so its presence
does not tell when. Distractors wear the looks of classes in other motions, or perform the motions
of classes in other looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from basnet_e2e.demo.footage.scene import Actor, random_actor
from basnet_e2e.demo.footage.worlds import DRIFT, MOTTLED, REST, World

CLASSES = (
    "striped swing",
    "striped spin",
    "spotted swing",
    "spotted bounce",
    "checked spin",
    "checked bounce",
)

DISTRACTORS = (
    *(
        f"{look} {motion}"
        for look in ("striped", "spotted", "checked")
        for motion in (DRIFT, "orbit")
    ),
    *(f"{look} {motion}" for look in (MOTTLED, "rayed") for motion in ("swing", "bounce", "spin")),
)

Range = tuple[float, float]
DURATION: Range = (24.0, 32.0)
LEAD: Range = (0.6, 1.6)
ACTION: Range = (2.4, 5.0)
GAP: Range = (0.1, 0.8)
SECOND_CLASS = 0.35
"""Part of the videos in which two classes occur."""

ACTION_SHARE = 0.55
"""Probability that the next actor on stage performs an action of the video's classes."""


@dataclass(frozen=True)
class Occurrence:
    """One action: its class, and start and end in seconds of the video."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Script:
    """A planned video: its length in seconds, all actors, and the actions they perform."""

    duration: float
    actors: tuple[Actor, ...]
    occurrences: tuple[Occurrence, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that occur, in the order of ``CLASSES``."""
        found = {occurrence.label for occurrence in self.occurrences}
        return tuple(label for label in CLASSES if label in found)


def plan(rng: Generator, world: World, label: str) -> Script:
    """Plan a video in which ``label`` occurs, perhaps with a second class, among distractors.

    Args:
        rng: source of randomness.
        world: ranges of sizes and speeds.
        label: the class that occurs in any case.
    """
    duration = _on_frame(rng.uniform(*DURATION), world)
    labels = [label]
    if rng.random() < SECOND_CLASS:
        labels.append(str(rng.choice([other for other in CLASSES if other != label])))
    actors: list[Actor] = []
    occurrences: list[Occurrence] = []
    # Every class of the video gets its turn first or second; then chance decides.
    queue = [*labels, DISTRACTORS[int(rng.integers(len(DISTRACTORS)))]]
    rng.shuffle(queue)
    time = float(rng.uniform(*GAP))
    while True:
        name = queue.pop() if queue else _next(rng, labels)
        actor = _enter(rng, world, name, time)
        if actor.acts[-1].end > duration:
            break
        actors.append(actor)
        if name in CLASSES:
            occurrences.append(Occurrence(name, actor.acts[1].start, actor.acts[1].end))
        time = actor.acts[-1].end + float(rng.uniform(*GAP))
    return Script(duration, tuple(actors), tuple(occurrences))


def _next(rng: Generator, labels: Sequence[str]) -> str:
    chosen = labels if rng.random() < ACTION_SHARE else DISTRACTORS
    return str(chosen[int(rng.integers(len(chosen)))])


def _enter(rng: Generator, world: World, name: str, time: float) -> Actor:
    """An actor that waits, performs the named motion and waits again, starting at ``time``."""
    look, motion = name.split()
    start = _on_frame(time + rng.uniform(*LEAD), world)
    end = _on_frame(start + rng.uniform(*ACTION), world)
    leave = end + rng.uniform(*LEAD)
    return random_actor(
        rng, world, look, [(REST, time, start), (motion, start, end), (REST, end, leave)]
    )


def _on_frame(time: float, world: World) -> float:
    """The nearest time of a frame, so that intervals match the frames exactly."""
    return float(np.rint(time * world.fps) / world.fps)
