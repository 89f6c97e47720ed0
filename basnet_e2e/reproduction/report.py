"""The files of a reproduction's report: ``report.md``, ``report.json`` and the pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from basnet_e2e.reproduction.tables import Sheet
from weights.files import write_text


class Reported(Protocol):
    """Figures that a report shows."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader should know, one line each."""

    def title(self) -> str:
        """Headline."""

    def settings(self) -> str:
        """How the networks were trained, in one line."""

    def sheets(self) -> list[Sheet]:
        """The tables."""

    def to_json(self) -> dict[str, Any]:
        """Settings, notes and every figure."""


def markdown(result: Reported, pictures: Sequence[Path] = ()) -> str:
    """The whole report."""
    lines = [f"# {result.title()}", "", result.settings() + ".", ""]
    lines += [f"Note: {note}.\n" for note in result.notes]
    lines += [sheet.markdown() for sheet in result.sheets()]
    lines += [f"![{path.stem}]({path.name})\n" for path in pictures if path.suffix == ".png"]
    return "\n".join(lines)


def write_documents(folder: Path, result: Reported, pictures: Sequence[Path] = ()) -> list[Path]:
    """Write ``report.md`` and ``report.json`` into a folder, which is made."""
    document = json.dumps(result.to_json(), indent=1, sort_keys=True, allow_nan=False)
    write_text(folder / "report.json", document + "\n")
    write_text(folder / "report.md", markdown(result, pictures))
    return [folder / "report.md", folder / "report.json"]
