"""What each ingredient of the head `plus` is worth: one left out at a time, on kept-out videos.

Every seed keeps another third of the annotated training videos out, trains on the labels of the
others with preset `small`, and is judged on the intervals of those kept out; test parts are never
read. Printed is the average mAP (.1:.9) and that at .5 and .8: mean and deviation over the seeds,
and the change against all ingredients together, seed by seed.

    python tests/benchmarks/plus.py FEATURES [--labels CSV] [--ground-truth gt.json]
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import _packages  # noqa: F401
import click
import numpy as np
import torch

from basnet_e2e.cli.terminal.tables import show_text
from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures, load_labelled
from basnet_e2e.evaluation.evaluate import TIOUS, evaluate
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.training.fit import fit
from basnet_e2e.training.run_identity import RunInputs

SHOWN = (TIOUS.index(0.5), TIOUS.index(0.8))
# Without an ingredient: the settings that take BaS-Net's way, or none, in its place.
WITHOUT: dict[str, dict[str, Any]] = {
    "principal axes": {"components": 1 << 20},
    "several networks": {"networks": 1},
    "short samples": {"segments": None},
    "top quarter (an eighth)": {"ratio": 8},
    "suppression branch": {"suppression_weight": 0.0},
    "norm": {"norm": 0.0},
    "class shares": {"activation": "suppressed", "normalise": "minmax"},
    "foreground weighting": {"weighting": 0.0},
    "guided mean": {"reach": 0.0},
    "soft suppression": {"suppression": "hard"},
    "thresholds to .9": {"theta_act": preset("small").decoding.theta_act},
    "outer margin .5": {"outer": preset("small").decoding.outer},
}


@dataclass(frozen=True)
class Part:
    """Videos that a seed learns from, and those it is judged on."""

    train: LabelledSet
    held: list[VideoFeatures]
    truth: GroundTruth


def divided(data: LabelledSet, truth: GroundTruth, seed: int) -> Part:
    """Another random third kept out for every seed."""
    order = np.random.default_rng([77, seed]).permutation(len(data.videos))
    held, kept = order[: len(order) // 3], sorted(order[len(order) // 3 :])
    train = replace(
        data,
        videos=[data.videos[index] for index in kept],
        labels=[data.labels[index] for index in kept],
    )
    videos = [data.videos[index] for index in held]
    intervals = {video.id: truth.videos[video.id] for video in videos}
    return Part(train, videos, replace(truth, videos=intervals, others=frozenset()))


class Judge:
    """Figures of settings on one part; networks that are read in several ways train once."""

    def __init__(self, part: Part, seed: int) -> None:
        self.part, self.seed = part, seed
        self._models: dict[str, Any] = {}

    def figures(self, settings: Preset) -> list[float]:
        """Average mAP and that at the thresholds shown, per cent."""
        key = repr(settings.learnt())
        if key not in self._models:
            self._models[key] = fit(RunInputs(self.part.train, settings, self.seed)).last
        model = self._models[key]
        model = replace(model, preset=replace(model.preset, decoding=settings.decoding))
        found = [localize_features(model, video) for video in self.part.held]
        table = evaluate(found, self.part.truth)
        return [100 * table.average, *(100 * float(table.map[index]) for index in SHOWN)]


def row(name: str, figures: list[list[float]], whole: list[list[float]]) -> str:
    """One line of the table: figures ``[seeds][averages]`` against those of all ingredients."""
    cells = []
    for column in zip(*figures, strict=True):
        spread = statistics.stdev(column) if len(column) > 1 else 0.0
        cells.append(f"{statistics.mean(column):5.1f} ± {spread:3.1f}")
    changes = [one[0] - other[0] for one, other in zip(figures, whole, strict=True)]
    worse = sum(change < 0 for change in changes)
    return f"| {name:26} | {' | '.join(cells)} | {statistics.mean(changes):+5.1f} | {worse} |"


@click.command()
@click.argument("features", type=click.Path(exists=True, path_type=Path))
@click.option("--labels", type=click.Path(exists=True, path_type=Path), help="Else ground truth's.")
@click.option("--ground-truth", type=click.Path(exists=True, path_type=Path), help="Else gt.json.")
@click.option("--seeds", default=5, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(
    features: Path, labels: Path | None, ground_truth: Path | None, seeds: int, threads: int
) -> None:
    """Train, leave out, print."""
    torch.set_num_threads(threads)
    ground_truth = ground_truth or features / "gt.json"
    data = load_labelled(features, labels or ground_truth)
    truth = read_ground_truth(ground_truth, "train")
    whole = preset("small", head="plus")
    rows: Mapping[str, Preset] = {
        "plus": whole,
        **{f"without {name}": whole.changed(**changes) for name, changes in WITHOUT.items()},
        "with a second stage": whole.changed(second_stage=True),
        "basnet": preset("small"),
    }
    figures: dict[str, list[list[float]]] = {name: [] for name in rows}
    for seed in range(seeds):
        judge = Judge(divided(data, truth, seed), seed)
        for name, settings in rows.items():
            figures[name].append(judge.figures(settings))
            show_text(f"seed {seed}: {name}: {figures[name][-1][0]:.1f}")
    click.echo("\n| | average | .5 | .8 | change | seeds worse |\n|---|---|---|---|---|---|")
    for name, found in figures.items():
        click.echo(row(name, found, figures["plus"]))


if __name__ == "__main__":
    main()
