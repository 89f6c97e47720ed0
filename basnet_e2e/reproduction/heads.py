"""Several methods on the same features, split and evaluation, beside their published figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.settings import Preset, check_names
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS, find_head
from basnet_e2e.reproduction.published import HEAD_TITLES, Protocol
from basnet_e2e.reproduction.report import Report
from basnet_e2e.reproduction.runs import Outcome, Reporter, Runner, Spec
from basnet_e2e.reproduction.tables import (
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
    """A comparison of heads.

    Attributes:
        protocol: how they are evaluated and what was published.
        presets: settings of each head, one per row of the table.
        seeds: runs per row.
    """

    protocol: Protocol
    presets: tuple[Preset, ...]
    seeds: int = 1

    def run(self, runner: Runner, progress: Reporter | None = None) -> "HeadReport":
        """Take all runs; those already on disk are not recomputed.

        Args:
            runner: where and with which data.
            progress: see :meth:`Runner.all`, which also says what is raised.
        """
        specs = [Spec(each, seed) for seed in range(self.seeds) for each in self.presets]
        outcomes: dict[str, list[Outcome]] = {}
        for outcome in runner.all(specs, progress):
            outcomes.setdefault(outcome.spec.preset.head, []).append(outcome)
        notes = [*runner.benchmark.notes, *_other_features(self)]
        return HeadReport(self.protocol, outcomes, tuple(notes), self.presets)


@dataclass(frozen=True)
class HeadReport(Report):
    """Figures of all heads, with the settings of each."""

    presets: tuple[Preset, ...]

    def title(self) -> str:
        """Headline of the report."""
        return f"{self.protocol.title}, {len(self.outcomes)} methods compared"

    def settings(self) -> str:
        """One line on how the networks were trained."""
        counts = [each.training.steps for each in self.presets]
        low, high = min(counts), max(counts)
        steps = f"{low}" if low == high else f"{low} to {high}"
        names = " or ".join(dict.fromkeys(each.name for each in self.presets))
        return f"preset {names}, {steps} steps, last step, {self.seeds()}"

    def sheets(self) -> list[Sheet]:
        """MAP beside the published figures, cost, background detection."""
        return [
            head_comparison(self.protocol, self.outcomes),
            head_costs(self.outcomes),
            background(self.protocol, self.outcomes),
        ]

    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""
        figures = outcomes_json(self.outcomes)
        for name, runs in self.outcomes.items():
            for document, run in zip(figures[name], runs, strict=True):
                document |= {"seconds": run.seconds, "parameters": run.parameters}
        return {
            "benchmark": self.protocol.name,
            "tious": list(self.protocol.tious),
            "presets": {each.head: each.to_json() for each in self.presets},
            "notes": list(self.notes),
            "heads": figures,
            "published": {
                name: {"features": each.features, "map": list(each.figures)}
                for name, each in self.protocol.heads.items()
            },
        }

    def draw(self, folder: Path, runner: Runner, video: str | None) -> list[Path]:
        """Draw mAP against tIoU."""
        from basnet_e2e.reproduction.pictures import draw_curves

        title = f"Methods on {self.protocol.title}"
        return draw_curves(folder / "map", title, self.settings(), self.protocol, self.outcomes)


def make_head_study(
    protocol: Protocol,
    heads: Sequence[str],
    *,
    settings: str | None = None,
    seeds: int = 1,
    **changes: Any,
) -> HeadStudy:
    """A comparison of heads from command-line options.

    Args:
        protocol: how they are evaluated.
        heads: their names, or ``all`` alone.
        settings: name of a preset that every head has. Default: ``official``, or ``default`` for
            heads without released code.
        seeds: runs per row.
        changes: settings that replace each preset's, as ``steps`` and ``segments``.

    Raises:
        BasnetError: no head is named, one is unknown, or one has no such preset.
    """
    names = list(HEADS) if tuple(heads) == (ALL,) else list(dict.fromkeys(heads))
    check_names(names, HEADS, "head")
    if not names:
        raise BasnetError(f"no head named; known: {', '.join(HEADS)}")
    presets = tuple(preset(settings or _released(name), head=name, **changes) for name in names)
    return HeadStudy(protocol, presets, seeds)


def _released(head: str) -> str:
    return RELEASED if RELEASED in find_head(head).presets else OURS


def _other_features(study: HeadStudy) -> list[str]:
    """A note on the features that published figures are for."""
    by_features: dict[str, list[str]] = {}
    for each in study.presets:
        published = study.protocol.heads.get(each.head)
        if published is not None:
            by_features.setdefault(published.features, []).append(HEAD_TITLES[each.head])
    named = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in by_features.items())
    return [f"published figures are for other features ({named})"] if named else []
