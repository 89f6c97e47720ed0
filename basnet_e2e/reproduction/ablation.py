"""BaS-Net's ablation: its runs and its report."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.background import DEFINITION
from basnet_e2e.heads.common.settings import Preset
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import find_head
from basnet_e2e.reproduction.published import RECIPE_TITLES, Protocol
from basnet_e2e.reproduction.report import Report
from basnet_e2e.reproduction.runs import Outcome, Reporter, Runner, Spec, changes_training
from basnet_e2e.reproduction.tables import (
    Outcomes,
    Sheet,
    ablation,
    background,
    comparison,
    fixes,
    outcomes_json,
    predicted_as,
    published_json,
)

log = logging.getLogger(__name__)
EACH_FIX = ("reading", "all")


@dataclass(frozen=True)
class AblationStudy:
    """An ablation to run.

    Attributes:
        protocol: how it is evaluated and what was published.
        preset: settings of all runs.
        recipes: rows of the ablation.
        seeds: runs per row.
        each_fix: also measure each fix that the settings lack alone: ``reading`` (those that need
            no training of their own) or ``all``.
        fixed: fixes applied to the preset, for the report.
    """

    protocol: Protocol
    preset: Preset
    recipes: tuple[str, ...] = tuple(RECIPE_TITLES)
    seeds: int = 1
    each_fix: str | None = None
    fixed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.recipes:
            raise BasnetError(f"no recipe named; known: {', '.join(RECIPE_TITLES)}")
        for name in self.recipes:
            preset(self.preset, recipe=name)
        if self.each_fix not in (None, *EACH_FIX):
            raise BasnetError(f"fixes alone: {' or '.join(EACH_FIX)}, not {self.each_fix!r}")
        if self.each_fix and "full" not in self.recipes:
            raise BasnetError("fixes are measured on the recipe full, which is not asked for")

    def specs(self) -> list[Spec]:
        """All runs of the ablation, whole rows of the table first."""
        return [
            Spec(preset(self.preset, recipe=name), seed)
            for seed in range(self.seeds)
            for name in self.recipes
        ]

    def fix_specs(self) -> list[Spec]:
        """The recipe ``full`` with each fix that changes something, alone."""
        if not self.each_fix:
            return []
        head = find_head(self.preset.head)
        whole = preset(self.preset, recipe="full")
        here, released = whole.flat(), head.presets["official"].flat()
        return [
            Spec(preset(whole, fix=(name,)), seed, name)
            for name, settings in head.fixes.items()
            if self.each_fix == "all" or not changes_training(head.name, name)
            # A setting that is a word and not the released code's is fixed already.
            if all(
                here[key] == released[key]
                for key, value in settings.items()
                if isinstance(value, str)
            )
            for seed in range(self.seeds)
        ]

    def run(self, runner: Runner, progress: Reporter | None = None) -> "AblationReport":
        """Take all runs; those already on disk are not recomputed.

        Args:
            runner: where and with which data.
            progress: see :meth:`Runner.all`, which also says what is raised.
        """
        outcomes: dict[str, list[Outcome]] = {}
        fixed: dict[str, list[Outcome]] = {}
        for outcome in runner.all([*self.specs(), *self.fix_specs()], progress):
            spec = outcome.spec
            kept = outcomes if spec.fix is None else fixed
            kept.setdefault(spec.fix or spec.row, []).append(outcome)
        ordered = {name: outcomes[name] for name in RECIPE_TITLES if name in outcomes}
        return AblationReport(self.protocol, ordered, runner.benchmark.notes, self, fixed)


@dataclass(frozen=True)
class AblationReport(Report):
    """Figures of an ablation.

    Attributes:
        study: what was asked for.
        fixed: fix -> runs.
    """

    study: AblationStudy
    fixed: Outcomes

    def segments(self) -> dict[str, int | None]:
        """Rows of a training sample, T, by recipe (some leave out videos without labels)."""
        return {name: runs[0].spec.preset.training.segments for name, runs in self.outcomes.items()}

    def title(self) -> str:
        """Headline of the report."""
        return f"{self.protocol.title}, computed here"

    def settings(self) -> str:
        """One line on how the networks were trained."""
        chosen = self.study.preset
        fixed = f" with {', '.join(self.study.fixed)} fixed" if self.study.fixed else ""
        shown = " or ".join(str(count) for count in dict.fromkeys(self.segments().values()))
        return (
            f"preset {chosen.name}{fixed}, T = {shown}, width {chosen.flat()['hidden']}, "
            f"{chosen.training.steps} steps, last step, {self.seeds()}"
        )

    def sheets(self) -> list[Sheet]:
        """The tables that have runs."""
        sheets = [ablation(self.protocol, self.outcomes), background(self.protocol, self.outcomes)]
        if self.fixed:
            sheets.insert(1, fixes(self.protocol, self.outcomes["full"], self.fixed))
        if "full" in self.outcomes:
            sheets.append(comparison(self.protocol, self.outcomes["full"]))
        return sheets

    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""
        return {
            "benchmark": self.protocol.name,
            "tious": list(self.protocol.tious),
            "preset": self.study.preset.flat(),
            "segments": self.segments(),
            "mended": list(self.study.fixed),
            "notes": list(self.notes),
            "recipes": outcomes_json(self.outcomes),
            "mends": outcomes_json(self.fixed),
            "definitions": {"background": DEFINITION, "predicted": predicted_as(self.study.preset)},
            "published": published_json(self.protocol),
        }

    def draw(self, folder: Path, runner: Runner, video: str | None) -> list[Path]:
        """Draw mAP against tIoU, and one video over time."""
        from basnet_e2e.reproduction.pictures import draw_curves, draw_video

        benchmark = runner.benchmark
        published = self.protocol.ablation if benchmark.same_data else {}
        title = f"Ablation on {self.protocol.title}"
        curves = draw_curves(
            folder / "map", title, self.settings(), self.protocol, self.outcomes, published
        )
        shown = "full" if "full" in self.outcomes else list(self.outcomes)[-1]
        model = runner.model(self.outcomes[shown][0].spec)
        over_time, name = draw_video(
            folder / "video", model, benchmark.test, benchmark.truth, video
        )
        log.info("drawn over time: %s", name)
        return curves + over_time


def make_ablation(
    protocol: Protocol,
    *,
    settings: str | None = None,
    fix: Sequence[str] = (),
    recipes: Sequence[str] = tuple(RECIPE_TITLES),
    seeds: int = 1,
    each_fix: str | None = None,
    **changes: Any,
) -> AblationStudy:
    """An ablation from command-line options.

    Args:
        protocol: how it is evaluated.
        settings: name of the preset. Default: the protocol's.
        fix: fixes to apply.
        recipes: rows of the ablation.
        seeds: runs per row.
        each_fix: also measure each fix alone, ``reading`` or ``all``.
        changes: settings that replace the preset's, as ``steps`` and ``segments``.

    Raises:
        BasnetError: a name is unknown.
    """
    chosen = preset(settings or protocol.preset, fix=fix, **changes)
    return AblationStudy(protocol, chosen, tuple(recipes), seeds, each_fix, tuple(fix))
