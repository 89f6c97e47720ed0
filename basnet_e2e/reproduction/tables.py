"""Figures of many runs as the paper's tables: rows of text for a terminal or Markdown.

Percentages have one decimal, as in the paper. With several seeds a row is their mean and the row
below it their standard deviation (of the sample).
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from basnet_e2e.evaluation.background import DEFINITION, FIGURE_NAMES
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.reproduction.published import HEAD_TITLES, RECIPE_TITLES, Protocol
from basnet_e2e.reproduction.runs import Figures, Outcome
from basnet_e2e.training.loop import evaluated_steps

Outcomes = dict[str, list[Outcome]]
"""Recipe, fix or head -> its runs, one per seed."""


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        title: one line above it.
        columns: headings; the first column has names, the others numbers.
        rows: cells.
        notes: lines below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [f"### {self.title}", "", _line(self.columns)]
        lines.append(_line(["---", *["---:"] * (len(self.columns) - 1)]))
        lines += [_line(row) for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"


def ablation(protocol: Protocol, outcomes: Outcomes) -> Sheet:
    """The paper's ablation with our figures below each of its rows."""
    selected = any(run.best for runs in outcomes.values() for run in runs)
    blank = ("",) * selected
    rows: list[tuple[str, ...]] = []
    for recipe, runs in outcomes.items():
        published = protocol.ablation.get(recipe)
        rows.append((RECIPE_TITLES[recipe], *("",) * (len(protocol.shown) + 1), *blank))
        if published:
            rows.append(("  paper", *(f"{value:.1f}" for value in published), *blank))
        rows += _over_seeds(
            "  ours",
            [
                [*_shown(protocol, run.last), *([run.best.average] if run.best else [])]
                for run in runs
            ],
        )
    columns = _columns(protocol.shown)
    notes = _notes(outcomes)
    if selected:
        columns += ("best*",)
        looks = len(evaluated_steps(next(iter(outcomes.values()))[0].spec.preset.training.steps))
        notes += (
            f"best*: average of the best of {looks} looks at the test videos during training; the "
            "released code looks after every step. It is chosen on the test videos, so not fair.",
        )
    return Sheet(
        f"Ablation: mAP in % at tIoU, {protocol.title}", ("", *columns), tuple(rows), notes
    )


def background(protocol: Protocol, outcomes: Outcomes) -> Sheet:
    """Background detection of each recipe beside the paper's F-measure."""
    rows = []
    for recipe, runs in outcomes.items():
        published = protocol.background.get(recipe)
        values = [[run.last.background[name] for name in FIGURE_NAMES] for run in runs]
        paper = "-" if published is None else f"{published:.3f}"
        means, *deviations = _over_seeds(title_of(recipe), values, "{:.3f}".format)
        rows.append((means[0], paper, *means[1:]))
        rows += [("  ±", "", *row[1:]) for row in deviations]
    notes = [
        f"{DEFINITION}.",
        "Predicted as background: "
        + "; ".join(f"{title_of(recipe)}: {_rule(runs)}" for recipe, runs in outcomes.items())
        + ".",
        *_order("F-measure", outcomes, lambda run: run.last.background["f_measure"]),
    ]
    columns = ("", "F, paper", "F", "precision", "recall", "AP")
    return Sheet("Background detection", columns, tuple(rows), tuple(notes))


def comparison(protocol: Protocol, runs: Sequence[Outcome]) -> Sheet:
    """Published methods, and BaS-Net as computed here."""
    rows = [
        (
            f"{method.name}{' (full supervision)' if method.full else ''}",
            *("-" if value is None else f"{value:.1f}" for value in method.figures),
        )
        for method in protocol.methods
    ]
    places = [protocol.tious.index(tiou) for tiou in protocol.compared]
    ours = [[*(run.last.map[place] for place in places), run.last.average] for run in runs]
    rows.append(_over_seeds(f"BaS-Net, computed here{_seeds(runs)}", ours)[0])
    columns = ("", *_columns(protocol.compared))
    return Sheet(f"Comparison: mAP in % at tIoU, {protocol.title}", columns, tuple(rows))


def head_comparison(protocol: Protocol, outcomes: Outcomes) -> Sheet:
    """The mAP of each head as computed here, above its published figures."""
    rows: list[tuple[str, ...]] = []
    blank = ("",) * (len(protocol.shown) + 1)
    for head, runs in outcomes.items():
        rows.append((HEAD_TITLES[head], *blank))
        rows += _over_seeds("  here", [_shown(protocol, run.last) for run in runs])
        published = protocol.heads.get(head)
        if published:
            shown = ("-" if value is None else f"{value:.1f}" for value in published.figures)
            rows.append((f"  {published.features}", *shown))
    columns = ("", *_columns(protocol.shown))
    notes = "Below each row: published figures, with the features they are for.", *_notes(outcomes)
    return Sheet(f"Methods: mAP in % at tIoU, {protocol.title}", columns, tuple(rows), notes)


def head_costs(outcomes: Outcomes) -> Sheet:
    """Parameters and training time of each head."""
    rows = []
    for head, runs in outcomes.items():
        seconds = [run.seconds for run in runs if run.seconds is not None]
        rows.append(
            (
                HEAD_TITLES[head],
                f"{runs[0].parameters:,}",
                str(runs[0].spec.preset.training.steps),
                f"{statistics.mean(seconds):.1f}" if seconds else "-",
            )
        )
    columns = ("", "parameters", "steps", "seconds")
    return Sheet("Cost of training", columns, tuple(rows))


def fixes(protocol: Protocol, plain: Sequence[Outcome], fixed: Outcomes) -> Sheet:
    """The effect of each single fix of the released code."""
    base = [_shown(protocol, run.last) for run in plain]
    rows = [(*_over_seeds("none", base)[0], "")]
    for name, runs in fixed.items():
        values = [_shown(protocol, run.last) for run in runs]
        gain = 100 * (_averages(values)[-1] - _averages(base)[-1])
        rows.append((*_over_seeds(name, values)[0], f"{gain:+.1f}"))
    columns = ("fix", *_columns(protocol.shown), "gain")
    return Sheet(f"Each fix alone (BaS-Net{_seeds(plain)})", columns, tuple(rows))


def predicted_as(chosen: Preset) -> dict[str, str]:
    """How each row of a head's ablation predicts background, in words."""
    head = find_head(chosen.head)
    return {name: head.background_rule(chosen.changed(recipe=name)) for name in head.recipes}


def _rule(runs: Sequence[Outcome]) -> str:
    used = runs[0].spec.preset
    return find_head(used.head).background_rule(used)


def outcomes_json(outcomes: Outcomes) -> dict[str, list[dict[str, Any]]]:
    """All figures, by recipe (or fix) and seed."""
    return {
        name: [
            {"seed": run.spec.seed, "last": _json(run.last)}
            | ({"best_on_test": _json(run.best)} if run.best else {})
            for run in runs
        ]
        for name, runs in outcomes.items()
    }


def published_json(protocol: Protocol) -> dict[str, Any]:
    """The paper's figures in the tables, in percent except for F-measures."""
    return {
        "ablation": {name: list(row) for name, row in protocol.ablation.items()},
        "background_f_measure": protocol.background,
        "comparison": [
            {"method": each.name, "full_supervision": each.full, "figures": list(each.figures)}
            for each in protocol.methods
        ],
        "columns": {
            "ablation": [*protocol.shown, "average"],
            "comparison": [*protocol.compared, "average"],
        },
    }


def _json(figures: Figures) -> dict[str, Any]:
    return {**vars(figures), "average": figures.average}


def _shown(protocol: Protocol, figures: Figures) -> list[float]:
    """Values of the ablation's columns: mAP at the shown thresholds and the average."""
    places = [protocol.tious.index(tiou) for tiou in protocol.shown]
    return [*(figures.map[place] for place in places), figures.average]


def title_of(name: str) -> str:
    """Title of a recipe or a head."""
    return RECIPE_TITLES.get(name) or HEAD_TITLES[name]


def _order(what: str, outcomes: Outcomes, value: Callable[[Outcome], float]) -> tuple[str, ...]:
    means = {name: statistics.mean(map(value, runs)) for name, runs in outcomes.items()}
    ranked = sorted(means, key=lambda name: -means[name])
    names = title_of(ranked[0])
    for better, worse in itertools.pairwise(ranked):
        sign = "=" if round(means[better], 3) == round(means[worse], 3) else ">"
        names += f" {sign} {title_of(worse)}"
    return (f"Order by {what}: {names}.",) if len(means) > 1 else ()


def _averages(values: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.mean(column) for column in zip(*values, strict=True)]


def _percent(value: float) -> str:
    # Four characters at most, so that eleven columns fit a terminal.
    return f"{100 * value:.1f}".replace("100.0", "100")


def _over_seeds(
    name: str, values: Sequence[Sequence[float]], form: Callable[[float], str] = _percent
) -> list[tuple[str, ...]]:
    """A row of means over seeds ``values[seed][column]``; with several a row of deviations too."""
    rows = [(name, *map(form, _averages(values)))]
    if len(values) > 1:
        rows.append(("  ±", *(form(statistics.stdev(each)) for each in zip(*values, strict=True))))
    return rows


def _seeds(runs: Sequence[Outcome]) -> str:
    return f", mean of {len(runs)} seeds" if len(runs) > 1 else ""


def _columns(tious: Sequence[float]) -> tuple[str, ...]:
    return (*(f"{tiou:g}".removeprefix("0") for tiou in tious), "avg")


def _notes(outcomes: Outcomes) -> tuple[str, ...]:
    """Notes on a table of mAP: the order of its rows, and what ± means."""
    order = _order("average mAP", outcomes, lambda run: run.last.average)
    several = max(map(len, outcomes.values())) > 1
    return (*order, *["± is the standard deviation over seeds."] * several)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
