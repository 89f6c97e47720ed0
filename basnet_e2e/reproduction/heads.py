"""Several methods on the same features, split, loop and evaluation, beside what was published."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.settings import Preset, check_names
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS, find_head
from basnet_e2e.reproduction.published import HEAD_TITLES, Protocol
from basnet_e2e.reproduction.report import write_documents
from basnet_e2e.reproduction.runs import Outcome, Reporter, Runner, Spec
from basnet_e2e.reproduction.tables import (
    Outcomes,
    Sheet,
    background,
    head_comparison,
    head_costs,
    outcomes_json,
)

ALL = "all"
RELEASED, OURS = "official", "default"


@dataclass(frozen=True)
class HeadStudy:
    """What is computed.

    Attributes:
        protocol: how it is evaluated and what was published.
        presets: settings of each head, one per row of the table.
        seeds: how many runs per row.
    """

    protocol: Protocol
    presets: tuple[Preset, ...]
    seeds: int = 1

    def specs(self) -> list[Spec]:
        """All runs, whole rows of the table first."""
        return [Spec(each, seed) for seed in range(self.seeds) for each in self.presets]


@dataclass(frozen=True)
class HeadResult:
    """Figures of all heads.

    Attributes:
        study: what was asked.
        outcomes: head -> runs.
        notes: what a reader should know.
    """

    study: HeadStudy
    outcomes: Outcomes
    notes: tuple[str, ...]

    def settings(self) -> str:
        """One line on how the networks were trained."""
        seeds = f"mean of {self.study.seeds} seeds" if self.study.seeds > 1 else "seed 0"
        counts = [runs[0].spec.preset.training.steps for runs in self.outcomes.values()]
        low, high = min(counts), max(counts)
        steps = f"{low}" if low == high else f"{low} to {high}"
        names = " or ".join(dict.fromkeys(each.name for each in self.study.presets))
        return f"preset {names}, {steps} steps, last step, {seeds}"

    def sheets(self) -> list[Sheet]:
        """MAP beside the published figures, cost, background detection."""
        protocol = self.study.protocol
        return [
            head_comparison(protocol, self.outcomes),
            head_costs(self.outcomes),
            background(protocol, self.outcomes),
        ]

    def title(self) -> str:
        """Headline of the report."""
        return f"{self.study.protocol.title}, {len(self.outcomes)} methods compared"

    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""
        protocol = self.study.protocol
        figures = outcomes_json(self.outcomes)
        for name, runs in self.outcomes.items():
            for document, run in zip(figures[name], runs, strict=True):
                document |= {"seconds": run.seconds, "parameters": run.parameters}
        return {
            "benchmark": protocol.name,
            "tious": list(protocol.tious),
            "presets": {each.head: each.to_json() for each in self.study.presets},
            "notes": list(self.notes),
            "heads": figures,
            "published": {
                name: {"features": each.features, "map": list(each.figures)}
                for name, each in protocol.heads.items()
            },
        }


def make_head_study(
    protocol: Protocol,
    heads: Sequence[str],
    *,
    settings: str | None = None,
    seeds: int = 1,
    steps: int | None = None,
    segments: int | None = None,
) -> HeadStudy:
    """A comparison from the options of a command line.

    Args:
        protocol: how it is evaluated.
        heads: their names, or ``all`` alone.
        settings: name of a preset that every head has. Default: ``official``, or ``default`` for
            our own head, for which nothing was released.
        seeds: runs per row.
        steps: training steps instead of each preset's.
        segments: T instead of each preset's.

    Raises:
        BasnetError: no head is named, one is unknown, or one has no such preset.
    """
    names = list(HEADS) if tuple(heads) == (ALL,) else list(dict.fromkeys(heads))
    check_names(names, HEADS, "head")
    if not names:
        raise BasnetError(f"no head named; known: {', '.join(HEADS)}")
    asked = {"steps": steps, "segments": segments}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    presets = tuple(preset(settings or _released(name), head=name, **changes) for name in names)
    return HeadStudy(protocol, presets, seeds)


def _released(head: str) -> str:
    return RELEASED if RELEASED in find_head(head).presets else OURS


def compare_heads(study: HeadStudy, runner: Runner, progress: Reporter | None = None) -> HeadResult:
    """Take all runs; what is already on the disk is not computed again.

    Args:
        study: what to compute.
        runner: where and with which data.
        progress: see :meth:`Runner.all`, which also says what is raised.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for outcome in runner.all(study.specs(), progress):
        outcomes.setdefault(outcome.spec.preset.head, []).append(outcome)
    notes = [*runner.benchmark.notes, *_other_features(study)]
    return HeadResult(study, outcomes, tuple(notes))


def _other_features(study: HeadStudy) -> list[str]:
    """A note on the features of the published figures."""
    by_features: dict[str, list[str]] = {}
    for each in study.presets:
        published = study.protocol.heads.get(each.head)
        if published is not None:
            by_features.setdefault(published.features, []).append(HEAD_TITLES[each.head])
    named = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in by_features.items())
    return [f"published figures are for other features ({named})"] if named else []


def write_head_report(folder: Path, result: HeadResult, runner: Runner) -> list[Path]:
    """Write ``report.md``, ``report.json`` and the picture of mAP against tIoU into a folder."""
    from basnet_e2e.reproduction.pictures import draw_curves

    protocol = result.study.protocol
    title, settings = f"Methods on {protocol.title}", result.settings()
    pictures = draw_curves(folder / "map", title, settings, protocol, result.outcomes)
    return [*write_documents(folder, result, pictures), *pictures]
