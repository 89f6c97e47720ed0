"""How much a few training videos teach: average mAP against their number.

Subsets of the training videos are drawn with about the same share of every class, several times,
and a few networks are trained on each. The table has the mean of the single networks, their
ensemble (one model read as the networks' mean), a network that stops early by a fifth of the videos
held out, and one that draws every class equally often; with the spread (standard deviation) over
the draws. Without folders it runs on generated features (`ablation.py`).

With the intervals of the training videos (``--known``) the second axis: all videos have labels, and
some of them intervals too (``--annotated``), or every action a point. Figures of all seeds and sets
are kept in ``--json``, and drawn from it.

    python tests/benchmarks/few_videos.py --train features/train --labels labels.csv \\
        --test features/test --truth gt_test.json
    python tests/benchmarks/few_videos.py ... --known gt_train.json --head plus --json few.json
"""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import _packages  # noqa: F401
import click
import numpy as np
import torch
from _annotated import draw, keep, markdown, together
from _annotated import measure as measure_annotated
from ablation import generated

from basnet_e2e.cli.terminal.tables import new_table, show, show_text
from basnet_e2e.data.annotations.annotations import GroundTruth, read_ground_truth
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.features.dataset import (
    LabelledSet,
    VideoFeatures,
    load_features,
    load_labelled,
)
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.evaluate import evaluate
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.ensemble import Ensemble
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.training.holdout import stratified
from basnet_e2e.training.train import train

HELD_OUT = 0.2
COLUMNS = ("one network", "ensemble", "stopped early", "balanced")


class Judged:
    """Test videos and their intervals.

    Args:
        videos: features.
        truth: their intervals.
    """

    def __init__(self, videos: Sequence[VideoFeatures], truth: GroundTruth) -> None:
        self.videos, self.truth = videos, truth

    def score(self, model: HeadModel) -> float:
        """Average mAP in percent."""
        found = [localize_features(model, video) for video in self.videos]
        return 100 * evaluate(found, self.truth).average


def subset(data: LabelledSet, count: int, seed: int) -> LabelledSet:
    """About the same share of every class; all videos where as many are wanted."""
    if count >= len(data.videos):
        return data
    rows = stratified(data.targets() > 0, count, seed)
    return replace(
        data, videos=[data.videos[row] for row in rows], labels=[data.labels[row] for row in rows]
    )


def members(model: HeadModel) -> list[HeadModel]:
    """The networks of an ensemble, each by itself."""
    assert isinstance(model.net, Ensemble)
    return [replace(model, net=net) for net in model.net.members]


def measure(
    data: LabelledSet, judged: Judged, networks: int, seed: int, **how: object
) -> list[float]:
    """Average mAP in percent of the columns; NaN where too few videos are left to train on."""
    options = {"seed": seed, **how}
    together = train(data, ensemble=networks, **options)
    single = float(np.mean([judged.score(model) for model in members(together)]))
    try:
        stopped = judged.score(train(data, holdout=HELD_OUT, stop_early=True, **options))
    except BasnetError:
        stopped = float("nan")
    balanced = judged.score(train(data, balanced=True, **options))
    return [single, judged.score(together), stopped, balanced]


def read(
    train_folder: Path | None, labels: Path | None, test: Path | None, truth: Path | None
) -> tuple[LabelledSet, Judged, str]:
    """Training videos, test videos, and what they are called."""
    if train_folder is None or labels is None or test is None or truth is None:
        benchmark = generated()
        return benchmark.train, Judged(benchmark.test, benchmark.truth), "generated features"
    known = read_ground_truth(truth)
    found = load_features(test)
    return load_labelled(train_folder, labels), Judged(found.videos, known), str(train_folder)


def cell(scores: Sequence[float]) -> str:
    """Mean and spread."""
    if not np.isfinite(scores).all():
        return "too few"
    return (
        f"{np.mean(scores):.1f} ± {np.std(scores):.1f}" if len(scores) > 1 else f"{scores[0]:.1f}"
    )


def by_times(
    data: LabelledSet,
    known: Path,
    judged: Judged,
    numbers: list[str],
    seeds: list[int],
    settings: Preset,
    kept: Path | None,
    name: str,
) -> None:
    """The second axis: annotated videos beside labels."""
    intervals = read_ground_truth(known, "train")
    found = {}
    for seed in seeds:
        found[str(seed)] = measure_annotated(
            data, intervals, judged.videos, judged.truth, numbers, seed, settings
        )
        show_text(f"seed {seed}: {json.dumps(found[str(seed)])}")
        if kept is not None:
            keep(kept, name, seed, found[str(seed)])
    everything = json.loads(kept.read_text("utf-8")) if kept else {name: found}
    table = new_table(f"mAP in % by annotated videos, {name}", "annotated", "average", ".5", ".8")
    for number, rows in together(everything[name]).items():
        table.add_row(number, *(cell(column) for column in zip(*rows, strict=True)))
    show(table)
    if kept is not None:
        sets = {part: together(rows) for part, rows in everything.items()}
        draw(sets, kept.with_suffix(".svg"))
        show_text(markdown(sets))


@click.command()
@click.option("--train", "train_folder", type=click.Path(path_type=Path), help="Feature folder.")
@click.option("--labels", type=click.Path(path_type=Path), help="Of the training videos.")
@click.option("--test", type=click.Path(path_type=Path), help="Feature folder of the test videos.")
@click.option("--truth", type=click.Path(path_type=Path), help="Their intervals.")
@click.option("--sizes", default="5,10,20,40", show_default=True)
@click.option("--draws", default=3, show_default=True, help="Subsets of each size.")
@click.option("--networks", default=3, show_default=True, help="Of an ensemble.")
@click.option("--head", default="basnet", show_default=True)
@click.option("--steps", type=int, help="Training steps. Default: those of preset small.")
@click.option("--rate", type=float, help="Learning rate. Default: that of preset small.")
@click.option("--known", type=click.Path(path_type=Path), help="Intervals of training videos.")
@click.option("--annotated", default="0,2,5,10,20,all,points", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="With --known.")
@click.option("--json", "kept", type=click.Path(path_type=Path), help="File of the figures.")
@click.option("--name", help="Of the set, in that file.")
@click.option("--threads", default=1, show_default=True)
def main(
    train_folder: Path | None,
    labels: Path | None,
    test: Path | None,
    truth: Path | None,
    sizes: str,
    draws: int,
    networks: int,
    threads: int,
    head: str,
    steps: int | None,
    rate: float | None,
    known: Path | None,
    annotated: str,
    seeds: str,
    kept: Path | None,
    name: str | None,
) -> None:
    """Train on few and more videos and print the table."""
    torch.set_num_threads(threads)
    changed = {"steps": steps, "rate": rate}
    chosen = preset("small", head=head, **{k: v for k, v in changed.items() if v is not None})
    data, judged, source = read(train_folder, labels, test, truth)
    if known is not None:
        numbers, runs = annotated.split(","), list(map(int, seeds.split(",")))
        by_times(data, known, judged, numbers, runs, chosen, kept, name or source)
        return
    began = time.monotonic()
    title = f"average mAP in %, {head} small, {networks} networks, "
    title += f"{counted(draws, 'draw')}; {source}"
    table = new_table(title, "videos", *COLUMNS)
    for count in map(int, sizes.split(",")):
        rows = [
            measure(subset(data, count, draw), judged, networks, 10 * draw, preset=chosen)
            for draw in range(draws)
        ]
        cells = [cell(scores) for scores in zip(*rows, strict=True)]
        table.add_row(str(min(count, len(data.videos))), *cells)
        show_text(f"{count}: {', '.join(cells)}")
    show(table)
    show_text(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
