"""Several methods on the same features, split, loop and evaluation, beside what was published."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.settings import Preset, check_names
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS, find_head
from basnet_e2e.reproduction.published import HEAD_TITLES, Protocol
from basnet_e2e.reproduction.runs import Outcome, Reporter, Runner, Spec
from basnet_e2e.reproduction.tables import (
    Outcomes,
    Sheet,
    background,
    head_comparison,
    head_costs,
    outcomes_json,
)
from weights.files import write_text

log = logging.getLogger(__name__)
ALL = "all"
RELEASED, OURS = "official", "default"


@dataclass(frozen=True)
class HeadStudy:
    """What is computed.

    Attributes:
        protocol: how it is judged and what was published.
        presets: settings of each head, one a row of the table.
        seeds: how many runs a row.
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

    def markdown(self, pictures: Sequence[Path] = ()) -> str:
        """The whole report."""
        title = f"# {self.study.protocol.title}, {len(self.outcomes)} methods compared"
        lines = [title, "", self.settings() + ".", ""]
        lines += [f"Note: {note}.\n" for note in self.notes]
        lines += [sheet.markdown() for sheet in self.sheets()]
        lines += [f"![{path.stem}]({path.name})\n" for path in pictures if path.suffix == ".png"]
        return "\n".join(lines)

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
    """A comparison from the words of a command line.

    Args:
        protocol: how it is judged.
        heads: their names, or ``all`` alone.
        settings: name of a preset that every head has; without it ``official``, or ``default`` of
            a head of ours, of which nothing was released.
        seeds: runs a row.
        steps: training steps instead of each preset's.
        segments: T instead of each preset's.

    Raises:
        BasnetError: a head is unknown, or has no such preset; or none is named.
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
    """Take all runs; what is on the disk already is not computed again.

    Args:
        study: what to compute.
        runner: where and with which data.
        progress: see :meth:`Runner.all`, as for what is raised.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for outcome in runner.all(study.specs(), progress):
        outcomes.setdefault(outcome.spec.preset.head, []).append(outcome)
    notes = [*runner.benchmark.notes, *_other_features(study)]
    return HeadResult(study, outcomes, tuple(notes))


def _other_features(study: HeadStudy) -> list[str]:
    """Which published figures are of which features."""
    by_features: dict[str, list[str]] = {}
    for each in study.presets:
        published = study.protocol.heads.get(each.head)
        if published is not None:
            by_features.setdefault(published.features, []).append(HEAD_TITLES[each.head])
    said = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in by_features.items())
    return [f"published figures are of the features they name ({said})"] if said else []


def write_head_report(folder: Path, result: HeadResult, runner: Runner) -> list[Path]:
    """Write ``report.md``, ``report.json`` and the picture of mAP against tIoU into a folder."""
    from basnet_e2e.reproduction.pictures import draw_heads

    subtitle = result.settings()
    pictures = draw_heads(folder / "map", result.study.protocol, result.outcomes, subtitle)
    document = json.dumps(result.to_json(), indent=1, sort_keys=True, allow_nan=False)
    write_text(folder / "report.json", document + "\n")
    write_text(folder / "report.md", result.markdown(pictures))
    return [folder / "report.md", folder / "report.json", *pictures]
