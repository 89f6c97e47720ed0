"""A whole reproduction: which runs it takes, and the report they end in."""

import json
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
from basnet_e2e.reproduction.runs import Outcome, Reporter, Runner, Spec, changes_training
from basnet_e2e.reproduction.tables import (
    Outcomes,
    Sheet,
    ablation,
    background,
    comparison,
    mends,
    outcomes_json,
    predicted_as,
    published_json,
)
from weights.files import write_text

log = logging.getLogger(__name__)
EACH_MEND = ("reading", "all")


@dataclass(frozen=True)
class Study:
    """What is computed.

    Attributes:
        protocol: how it is judged and what was published.
        preset: settings of all runs.
        recipes: rows of the ablation.
        seeds: how many runs a row.
        each_mend: also measure mends alone, of those the settings do not have already: ``reading``
            (they need no training of their own) or ``all``.
        mended: mends that were put on top of the preset, for the report.
    """

    protocol: Protocol
    preset: Preset
    recipes: tuple[str, ...] = tuple(RECIPE_TITLES)
    seeds: int = 1
    each_mend: str | None = None
    mended: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.recipes:
            raise BasnetError(f"no recipe named; known: {', '.join(RECIPE_TITLES)}")
        for name in self.recipes:
            preset(self.preset, recipe=name)
        if self.each_mend not in (None, *EACH_MEND):
            raise BasnetError(f"mends alone: {' or '.join(EACH_MEND)}, not {self.each_mend!r}")
        if self.each_mend and "full" not in self.recipes:
            raise BasnetError("mends are measured on the recipe full, which is not among those")

    def specs(self) -> list[Spec]:
        """All runs of the ablation, whole rows of the table first."""
        return [
            Spec(preset(self.preset, recipe=name), seed)
            for seed in range(self.seeds)
            for name in self.recipes
        ]

    def mend_specs(self) -> list[Spec]:
        """The recipe ``full`` with each mend that changes something, alone."""
        if not self.each_mend:
            return []
        head = find_head(self.preset.head)
        whole = preset(self.preset, recipe="full")
        here, released = whole.flat(), head.presets["official"].flat()
        return [
            Spec(preset(whole, mend=(name,)), seed, name)
            for name, settings in head.mends.items()
            if self.each_mend == "all" or not changes_training(head.name, name)
            # Whatever a word is instead of the released code's, it is no defect any more.
            if all(here[key] == released[key] for key, value in settings.items() if _word(value))
            for seed in range(self.seeds)
        ]


def _word(value: object) -> bool:
    return isinstance(value, str)


@dataclass(frozen=True)
class Result:
    """Figures of a whole study.

    Attributes:
        study: what was asked.
        outcomes: recipe -> runs.
        mended: mend -> runs.
        notes: what a reader should know.
    """

    study: Study
    outcomes: Outcomes
    mended: Outcomes
    notes: tuple[str, ...]

    def segments(self) -> dict[str, int | None]:
        """Rows of a training sample, T, by recipe (some leave out videos without label)."""
        return {name: runs[0].spec.preset.training.segments for name, runs in self.outcomes.items()}

    def settings(self) -> str:
        """One line on how the networks were trained."""
        chosen = self.study.preset
        mended = f" with {', '.join(self.study.mended)} mended" if self.study.mended else ""
        seeds = f"mean of {self.study.seeds} seeds" if self.study.seeds > 1 else "seed 0"
        rows = self.segments()
        shown = " or ".join(str(count) for count in dict.fromkeys(rows.values()))
        return (
            f"preset {chosen.name}{mended}, T = {shown}, width {chosen.flat()['hidden']}, "
            f"{chosen.training.steps} steps, last step, {seeds}"
        )

    def sheets(self) -> list[Sheet]:
        """The tables that there are runs for."""
        protocol = self.study.protocol
        sheets = [ablation(protocol, self.outcomes), background(protocol, self.outcomes)]
        if self.mended:
            sheets.insert(1, mends(protocol, self.outcomes["full"], self.mended))
        if "full" in self.outcomes:
            sheets.append(comparison(protocol, self.outcomes["full"]))
        return sheets

    def markdown(self, pictures: Sequence[Path] = ()) -> str:
        """The whole report."""
        lines = [f"# {self.study.protocol.title}, computed anew", "", self.settings() + ".", ""]
        lines += [f"Note: {note}." for note in self.notes]
        if self.notes:
            lines.append("")
        lines += [sheet.markdown() for sheet in self.sheets()]
        lines += [f"![{path.stem}]({path.name})\n" for path in pictures if path.suffix == ".png"]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""
        return {
            "benchmark": self.study.protocol.name,
            "tious": list(self.study.protocol.tious),
            "preset": self.study.preset.flat(),
            "segments": self.segments(),
            "mended": list(self.study.mended),
            "notes": list(self.notes),
            "recipes": outcomes_json(self.outcomes),
            "mends": outcomes_json(self.mended),
            "definitions": {"background": DEFINITION, "predicted": predicted_as(self.study.preset)},
            "published": published_json(self.study.protocol),
        }


def reproduce(study: Study, runner: Runner, progress: Reporter | None = None) -> Result:
    """Take all runs of a study; what is on the disk already is not computed again.

    Args:
        study: what to compute.
        runner: where and with which data.
        progress: see :meth:`Runner.all`, as for what is raised.
    """
    outcomes: dict[str, list[Outcome]] = {}
    mended: dict[str, list[Outcome]] = {}
    for outcome in runner.all([*study.specs(), *study.mend_specs()], progress):
        spec = outcome.spec
        kept = outcomes if spec.mend is None else mended
        kept.setdefault(spec.mend or spec.row, []).append(outcome)
    ordered = {name: outcomes[name] for name in RECIPE_TITLES if name in outcomes}
    return Result(study, ordered, mended, runner.benchmark.notes)


def write_report(
    folder: Path, result: Result, runner: Runner, video: str | None = None
) -> list[Path]:
    """Write ``report.md``, ``report.json`` and the pictures into a folder.

    Args:
        folder: it is made.
        result: of :func:`reproduce`.
        runner: holds the networks and the test videos.
        video: test video to draw; without it one of median quality.

    Raises:
        BasnetError: there is no such video.
    """
    from basnet_e2e.reproduction.pictures import draw_curves, draw_video

    protocol, benchmark = result.study.protocol, runner.benchmark
    write_text(folder / "report.md", result.markdown())
    document = json.dumps(result.to_json(), indent=1, sort_keys=True, allow_nan=False)
    write_text(folder / "report.json", document + "\n")
    pictures = draw_curves(
        folder / "map", protocol, result.outcomes, result.settings(), benchmark.same_data
    )
    shown = "full" if "full" in result.outcomes else list(result.outcomes)[-1]
    model = runner.model(result.outcomes[shown][0].spec)
    more, name = draw_video(folder / "video", model, benchmark.test, benchmark.truth, video)
    log.info("drawn over time: %s", name)
    pictures += more
    write_text(folder / "report.md", result.markdown(pictures))
    return [folder / "report.md", folder / "report.json", *pictures]


def make_study(
    protocol: Protocol,
    *,
    settings: str | None = None,
    mend: Sequence[str] = (),
    recipes: Sequence[str] = tuple(RECIPE_TITLES),
    seeds: int = 1,
    steps: int | None = None,
    segments: int | None = None,
    each_mend: str | None = None,
) -> Study:
    """A study from the words of a command line.

    Args:
        protocol: how it is judged.
        settings: name of the preset; the protocol's without it.
        mend: mends put on top.
        recipes: rows of the ablation.
        seeds: runs a row.
        steps: training steps instead of the preset's.
        segments: T instead of the preset's.
        each_mend: also measure mends alone, ``reading`` or ``all``.

    Raises:
        BasnetError: a name is unknown.
    """
    chosen = preset(settings or protocol.preset, mend=mend)
    if steps is not None:
        chosen = chosen.changed(steps=steps)
    if segments is not None:
        chosen = chosen.changed(segments=segments)
    return Study(protocol, chosen, tuple(recipes), seeds, each_mend, tuple(mend))
