"""What correcting is worth: a scripted user of the studio who knows the truth.

The user labels some videos, trains, and corrects a few more in the order that the page offers. That
is compared with correcting as many that are drawn at random, with the labels of these alone, and
with no more than the first labels. Average mAP (.1 to .9) on the test part, by which nothing was
chosen.

    python tests/benchmarks/studio_loop.py --train features/train --truth-train gt_train.json \\
        --test features/test --truth-test gt_test.json
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import _packages  # noqa: F401
import click
import numpy as np
import torch

from basnet_e2e.cli.terminal.tables import new_table, show
from basnet_e2e.data.annotations.annotations import GroundTruth, Labels, read_ground_truth
from basnet_e2e.data.annotations.known_times import KnownTimes
from basnet_e2e.data.features.dataset import FeatureSet, load_features
from basnet_e2e.evaluation.evaluate import evaluate
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.intervals import Selection
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.studio.project.annotation import Annotation
from basnet_e2e.studio.tasks.ranking import WEIGHTS, ranked
from basnet_e2e.studio.tasks.training import candidate_of
from basnet_e2e.training.holdout import stratified
from basnet_e2e.training.train import train

NEW_FIRST = {"new": 1.0}
ORDERS = {"offered": WEIGHTS} | {
    name: {other: NEW_FIRST.get(other, float(other == name)) for other in WEIGHTS}
    for name in WEIGHTS
}
RANDOM = "random"


class User:
    """Knows what happens in every video, and says it of those that are asked for.

    Args:
        videos: features of the training part.
        truth: intervals of these.
        preset: name of the settings to train with.
        steps: of training; default: the preset's.
    """

    def __init__(
        self, videos: FeatureSet, truth: GroundTruth, preset: str, steps: int | None
    ) -> None:
        self.videos, self.truth = videos, truth
        self.ids = [video.id for video in videos.videos if video.id in truth.videos]
        self.classes = truth.classes
        self._how = {"preset": preset, "steps": steps}

    def labels_of(self, video: str) -> tuple[str, ...]:
        """Classes of a video."""
        return tuple(dict.fromkeys(each.label for each in self.truth.videos[video]))

    def first(self, count: int, seed: int) -> list[str]:
        """Videos to label, about the same share of every class."""
        targets = np.array([[c in self.labels_of(id) for c in self.classes] for id in self.ids])
        return [self.ids[row] for row in stratified(targets, count, seed)]

    def train(self, labelled: Sequence[str], corrected: Sequence[str], seed: int) -> HeadModel:
        """A model of the labels of some videos and the intervals of some."""
        named = dict.fromkeys([*labelled, *corrected])
        labels = Labels({id: self.labels_of(id) for id in named}, self.classes)
        times = None
        if corrected:
            times = KnownTimes.of({id: list(self.truth.videos[id]) for id in corrected})
        return train(
            self.videos, labels, classes=self.classes, intervals=times, seed=seed, **self._how
        )

    def offered(
        self, model: HeadModel, labelled: Sequence[str], count: int, weights: Mapping[str, float]
    ) -> list[str]:
        """The first videos that the page offers."""
        looks = []
        for video in self.videos.videos:
            if video.id in self.truth.videos:
                known = self.labels_of(video.id) if video.id in labelled else None
                result = Selection().of(localize_features(model, video))
                looks.append(candidate_of(video, result, Annotation(known)))
        return [each.video for each in ranked(looks, model.classes, count, weights)]


def scores(
    user: User,
    test: FeatureSet,
    truth: GroundTruth,
    arms: Sequence[str],
    counts: tuple[int, int],
    seed: int,
) -> dict[str, float]:
    """Average mAP in percent of each arm, of one seed."""

    def score(model: HeadModel) -> float:
        return 100 * evaluate([localize_features(model, v) for v in test.videos], truth).average

    labels, corrections = counts
    labelled = user.first(labels, seed)
    chance = np.random.default_rng([seed, 7])
    others = [id for id in chance.permutation(user.ids).tolist() if id not in labelled]
    drawn = others[:corrections]
    model = user.train(labelled, [], seed)
    found = {f"{labels} labels": score(model)}
    # The same videos without their times: what the times alone are worth.
    found[f"{labels + corrections} labels"] = score(user.train([*labelled, *drawn], [], seed))
    for arm in arms:
        chosen = drawn
        if arm != RANDOM:
            chosen = user.offered(model, labelled, corrections, ORDERS[arm])
        found[arm] = score(user.train(labelled, chosen, seed))
    return found


@click.command()
@click.option("--train", "train_folder", type=click.Path(path_type=Path), required=True)
@click.option("--truth-train", type=click.Path(path_type=Path), required=True)
@click.option("--test", "test_folder", type=click.Path(path_type=Path), required=True)
@click.option("--truth-test", type=click.Path(path_type=Path), required=True)
@click.option("--labels", default=10, show_default=True)
@click.option("--corrections", default=5, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--arms", default=f"offered,{RANDOM}", show_default=True, help=f"{[*ORDERS, RANDOM]}")
@click.option("--preset", default="default", show_default=True)
@click.option("--steps", type=int, help="Default: the preset's.")
@click.option("--threads", default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="JSON file of the figures.")
def main(
    train_folder: Path,
    truth_train: Path,
    test_folder: Path,
    truth_test: Path,
    labels: int,
    corrections: int,
    seeds: int,
    arms: str,
    preset: str,
    steps: int | None,
    threads: int,
    keep: Path | None,
) -> None:
    """Train as a user of the studio would and print the table."""
    torch.set_num_threads(threads)
    began = time.monotonic()
    subset = "train" if train_folder == test_folder else None
    user = User(
        load_features(train_folder, subset=subset),
        read_ground_truth(truth_train, subset or "train"),
        preset,
        steps,
    )
    test = load_features(test_folder, subset="test" if subset else None)
    truth = read_ground_truth(truth_test, "test")
    rows: list[dict[str, float]] = []
    for seed in range(seeds):
        found = scores(user, test, truth, arms.split(","), (labels, corrections), seed)
        rows.append(found)
        click.echo(f"seed {seed}: { ({k: round(v, 1) for k, v in found.items()}) }", err=True)
    table = new_table(f"average mAP in %, {train_folder}, {seeds} seeds", "known", "mean", "seeds")
    for arm in rows[0]:
        each = [row[arm] for row in rows]
        listed = ", ".join(f"{value:.1f}" for value in each)
        name = arm if "labels" in arm else f"{labels} labels, {corrections} corrected, {arm}"
        table.add_row(name, f"{np.mean(each):.1f}", listed)
    show(table)
    if keep:
        keep.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    click.echo(f"{time.monotonic() - began:.0f} s", err=True)


if __name__ == "__main__":
    main()
