"""What annotated videos add to labels: average mAP against their number, and for points."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.annotations.known_times import Times
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.evaluation.evaluate import TIOUS, evaluate
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.intervals import Interval
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.report.figures.canvas import new_figure, save_picture, tidy
from basnet_e2e.training.batches import known_in_most
from basnet_e2e.training.second_stage import fit_second_stage
from basnet_e2e.training.train import train

LABELS, POINTS, ALL = "0", "points", "all"
NAMES = {LABELS: "none (labels alone)", POINTS: "none; one point per action in all videos"}
SHOWN = (TIOUS.index(0.5), TIOUS.index(0.8))


def annotated(data: LabelledSet, truth: GroundTruth, count: int, seed: int) -> dict[str, Times]:
    """Intervals of some videos, the classes in turn, as somebody would choose them."""
    rng = np.random.default_rng([seed, 100])
    groups: dict[tuple[str, ...], list[str]] = {}
    for index in rng.permutation(len(data.videos)):
        groups.setdefault(data.labels[index], []).append(data.videos[index].id)
    turns = sorted(groups, key=lambda names: (not names, rng.random()))
    order: list[str] = []
    while any(groups.values()):
        order += [groups[names].pop() for names in turns if groups[names]]
    return {name: Times(_sound(truth.videos[name])) for name in order[:count]}


def points(data: LabelledSet, truth: GroundTruth, seed: int) -> dict[str, Times]:
    """One moment within every action, around its middle (a sixth of its length to each side)."""
    rng = np.random.default_rng([seed, 7])
    known = {}
    for video in data.videos:
        found = []
        for one in _sound(truth.videos[video.id]):
            at = float(np.clip(rng.normal((one.start + one.end) / 2, one.length / 6), *_ends(one)))
            found.append(replace(one, start=at, end=at))
        known[video.id] = Times(points=tuple(found))
    return known


def figures(model: HeadModel, videos: Sequence[VideoFeatures], truth: GroundTruth) -> list[float]:
    """Average mAP and that at .5 and .8, per cent."""
    found = [localize_features(model, video) for video in videos]
    table = evaluate(found, truth, allow_trained=True)
    return [100 * table.average, *(100 * float(table.map[index]) for index in SHOWN)]


def measure(
    data: LabelledSet,
    known: GroundTruth,
    videos: Sequence[VideoFeatures],
    truth: GroundTruth,
    counts: Sequence[str],
    seed: int,
    settings: Preset,
) -> dict[str, list[float]]:
    """Figures by number of annotated videos (``all`` and ``points`` too).

    As long as few videos are annotated the first stage learns from labels alone, so that it is
    trained once and the second stage for each number.
    """
    plain = train(data, preset=settings, seed=seed, device="cpu")
    found = {}
    for name in counts:
        if name == POINTS:
            times = points(data, known, seed)
        else:
            times = annotated(data, known, len(data.videos) if name == ALL else int(name), seed)
        given = replace(data, times=times)
        if known_in_most(given):
            model = train(given, preset=settings, seed=seed, device="cpu")
        else:
            model = plain
            if times:
                model.net.second_stage = fit_second_stage(model.net, model.preset, given, seed)
        found[name] = figures(model, videos, truth)
    return found


def keep(path: Path, part: str, seed: int, found: dict[str, list[float]]) -> dict[str, list]:
    """Add the figures of a seed to a file; gives all of this set by number of videos."""
    kept = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    kept.setdefault(part, {})[str(seed)] = found
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return together(kept[part])


def together(seeds: dict[str, dict[str, list[float]]]) -> dict[str, list]:
    """Number of annotated videos -> figures ``[seeds][3]``."""
    names = dict.fromkeys(name for found in seeds.values() for name in found)
    return {name: [found[name] for found in seeds.values() if name in found] for name in names}


def markdown(results: dict[str, dict[str, list]]) -> str:
    """Means over the seeds: average mAP and, in brackets, that at .8, one column per set."""
    numbers = dict.fromkeys(number for rows in results.values() for number in rows)
    cells = [["annotated training videos", *(f"`{part}`" for part in results)]]
    cells.append(["---"] * len(cells[0]))
    for number in numbers:
        line = [NAMES.get(number, number)]
        for rows in results.values():
            figures = rows.get(number)
            if figures:
                average, _, high = np.mean(figures, axis=0)
                seeds = "" if len(figures) > 1 else ", one seed"
                line.append(f"{average:.1f} ± {_deviation(figures):.1f} ({high:.1f}){seeds}")
            else:
                line.append("")
        cells.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def draw(results: dict[str, dict[str, list]], picture: Path) -> None:
    """Average mAP against the number of annotated videos, one line a set."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    tidy(axes)
    for part, rows in results.items():
        numbers = [name for name in rows if name != POINTS]
        means = [np.mean([one[0] for one in rows[name]]) for name in numbers]
        (line,) = axes.plot(range(len(numbers)), means, marker="o", label=part)
        if POINTS in rows:
            mean = np.mean([one[0] for one in rows[POINTS]])
            axes.plot(len(numbers), mean, marker="*", color=line.get_color())
        axes.set_xticks(range(len(numbers) + 1), [*numbers, POINTS])
    axes.set_xlabel("annotated training videos (star: one point per action)")
    axes.set_ylabel("average mAP .1:.9, %")
    axes.legend()
    save_picture(figure, picture)


def _sound(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    return tuple(one for one in intervals if one.end > one.start)


def _deviation(figures: Sequence[Sequence[float]]) -> float:
    return float(np.std([one[0] for one in figures], ddof=min(1, len(figures) - 1)))


def _ends(one: Interval) -> tuple[float, float]:
    return one.start, one.end
