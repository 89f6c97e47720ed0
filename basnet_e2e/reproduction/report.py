"""The report of a reproduction: ``report.md``, ``report.json`` and the pictures."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basnet_e2e.reproduction.published import Protocol
from basnet_e2e.reproduction.runs import Runner
from basnet_e2e.reproduction.tables import Outcomes, Sheet
from weights.files import write_text


@dataclass(frozen=True)
class Report(ABC):
    """Figures of a reproduction.

    Attributes:
        protocol: how they were evaluated, and what was published.
        outcomes: recipe or head -> runs.
        notes: what a reader should know, one line each.
    """

    protocol: Protocol
    outcomes: Outcomes
    notes: tuple[str, ...]

    @abstractmethod
    def title(self) -> str:
        """Headline."""

    @abstractmethod
    def settings(self) -> str:
        """How the networks were trained, in one line."""

    @abstractmethod
    def sheets(self) -> list[Sheet]:
        """The tables."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""

    @abstractmethod
    def draw(self, folder: Path, runner: Runner, video: str | None) -> list[Path]:
        """Draw the pictures into a folder.

        Args:
            folder: it exists.
            runner: holds the networks and the test videos.
            video: test video to draw. Default: one of median quality.
        """

    def seeds(self) -> str:
        """How many seeds the figures are from, in words."""
        count = max(map(len, self.outcomes.values()))
        return f"mean of {count} seeds" if count > 1 else "seed 0"

    def markdown(self, pictures: Sequence[Path] = ()) -> str:
        """The whole report."""
        lines = [f"# {self.title()}", "", self.settings() + ".", ""]
        lines += [f"Note: {note}.\n" for note in self.notes]
        lines += [sheet.markdown() for sheet in self.sheets()]
        lines += [f"![{path.stem}]({path.name})\n" for path in pictures if path.suffix == ".png"]
        return "\n".join(lines)

    def write(self, folder: Path, runner: Runner, video: str | None = None) -> list[Path]:
        """Write ``report.md``, ``report.json`` and the pictures into a folder, which is created.

        Args:
            folder: where to write.
            runner: holds the networks and the test videos.
            video: test video to draw. Default: one of median quality.
        """
        self._write_documents(folder)  # kept if drawing is interrupted
        pictures = self.draw(folder, runner, video)
        return [*self._write_documents(folder, pictures), *pictures]

    def _write_documents(self, folder: Path, pictures: Sequence[Path] = ()) -> list[Path]:
        document = json.dumps(self.to_json(), indent=1, sort_keys=True, allow_nan=False)
        write_text(folder / "report.json", document + "\n")
        write_text(folder / "report.md", self.markdown(pictures))
        return [folder / "report.md", folder / "report.json"]
