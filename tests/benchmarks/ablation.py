"""The paper's ablation on generated features: what each part of BaS-Net is worth, over five seeds.

A class is a prototype vector, and so is the context it is seen in, which continues before and after
an action and never elsewhere: a label per video cannot tell the two apart, but context comes
without its action too. Every video has a scene of its own, noise, and one or two classes. The four
recipes train with preset `small`; average mAP and background F-measure are printed beside the
order that the paper's poster has. Nothing is asserted: if an order does not come out, it is said.

    python tests/benchmarks/ablation.py
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import _packages  # noqa: F401
import click
import numpy as np
from numpy.typing import NDArray

from basnet_e2e.cli.terminal.tables import show_sheets, show_text
from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.intervals import Interval
from basnet_e2e.reproduction.ablation import make_ablation
from basnet_e2e.reproduction.data import Benchmark
from basnet_e2e.reproduction.published import PROTOCOLS, RECIPE_TITLES
from basnet_e2e.reproduction.runs import Runner

WIDTH, CLASSES, SCENES = 128, 8, 12
TRAIN, TEST = 80, 40
SNIPPET = 0.64  # seconds
SETTINGS = {"fps": "25", "length": 16, "stride": 16, "streams": ["generated"]}
Floats = NDArray[np.float64]


def prototypes(rng: np.random.Generator, count: int) -> Floats:
    """Sparse vectors without negative values, as features behind a ReLU are: ``[count, WIDTH]``."""
    return rng.gamma(2.0, 0.5, (count, WIDTH)) * (rng.random((count, WIDTH)) < 0.15)


class World:
    """Appearance of classes, their contexts and scenes."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.actions = prototypes(rng, CLASSES)
        self.contexts = prototypes(rng, CLASSES)
        self.scenes = prototypes(rng, SCENES)

    def video(
        self, name: str, rng: np.random.Generator
    ) -> tuple[VideoFeatures, list[Interval], tuple[str, ...]]:
        """One video: features, annotated intervals and labels."""
        classes = rng.choice(CLASSES, 1 + int(rng.random() < 0.3), replace=False)
        rows: list[Floats] = []
        intervals = []

        def add(count: int, looks: Floats) -> None:
            rows.extend(looks * rng.uniform(0.7, 1.1) for _ in range(count))

        for action in rng.permutation(np.repeat(classes, rng.integers(2, 4))):
            add(int(rng.integers(4, 12)), np.zeros(WIDTH))
            if rng.random() < 0.5:
                # The scene of an action in which nothing happens.
                add(int(rng.integers(3, 8)), self.contexts[action])
                add(int(rng.integers(2, 6)), np.zeros(WIDTH))
            add(int(rng.integers(1, 5)), self.contexts[action])
            first = len(rows)
            strength = rng.uniform(0.6, 1.2)
            add(
                int(rng.integers(4, 12)),
                strength * self.actions[action] + 0.6 * self.contexts[action],
            )
            intervals.append(Interval(f"action {action}", first * SNIPPET, len(rows) * SNIPPET))
            add(int(rng.integers(1, 5)), self.contexts[action])
        add(int(rng.integers(4, 12)), np.zeros(WIDTH))
        scene = self.scenes[rng.integers(SCENES)]
        x = np.array(rows) + 0.8 * scene + rng.normal(0, 0.4, (len(rows), WIDTH))
        start = np.arange(len(rows)) * SNIPPET
        features = VideoFeatures(
            name,
            np.maximum(x, 0).astype(np.float32),
            start,
            start + SNIPPET,
            len(rows) * SNIPPET,
            SETTINGS,
        )
        return features, intervals, tuple(sorted({each.label for each in intervals}))


def generated(seed: int = 0) -> Benchmark:
    """Training and test videos of one world."""
    rng = np.random.default_rng(seed)
    world = World(rng)
    train = [world.video(f"train {n}", rng) for n in range(TRAIN)]
    test = [world.video(f"test {n}", rng) for n in range(TEST)]
    labelled = LabelledSet(
        [video for video, _, _ in train],
        [labels for _, _, labels in train],
        tuple(f"action {n}" for n in range(CLASSES)),
        SETTINGS,
    )
    truth = GroundTruth({video.id: intervals for video, intervals, _ in test})
    judged = replace(PROTOCOLS["thumos14"], title="generated features")
    return Benchmark(judged, False, labelled, [video for video, _, _ in test], truth)


@click.command()
@click.option("--seeds", default=5, show_default=True)
@click.option("--steps", type=int, help="Training steps. Default: those of preset small.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to keep the runs in.")
def main(seeds: int, steps: int | None, keep: Path | None) -> None:
    """Train four recipes over several seeds and print the tables."""
    benchmark = generated()
    changes = {} if steps is None else {"steps": steps}
    study = make_ablation(benchmark.protocol, settings="small", seeds=seeds, **changes)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        result = study.run(Runner(keep or Path(scratch), benchmark, study.protocol.tious))
    spent = time.monotonic() - began
    show_text(f"{result.settings()}; {len(study.specs())} runs in {spent:.0f} s\n")
    show_sheets(result.sheets()[:2])
    names = " > ".join(RECIPE_TITLES[name] for name in ("full", "suppression", "baseline", "base"))
    show_text(f"The poster's order by average mAP: {names} (the last two nearly equal);")
    names = " > ".join(RECIPE_TITLES[name] for name in ("full", "suppression", "base"))
    show_text(f"by F-measure: {names}. Its figures are of THUMOS'14, for scale only.")


if __name__ == "__main__":
    main()
