"""Every format of another tool: one row here and one file in ``formats/``."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.interchange.annotated import AnnotationFile

OWN = "json"


@dataclass(frozen=True)
class Format:
    """One format. Its module is imported at first use.

    Attributes:
        module: has ``write(results, media) -> str`` if it is written; if it is read,
            ``is_own(file) -> bool`` and ``read(file, hints)``, which yields annotated videos and
            those that are left out.
        about: the tool, in a few words.
        suffix: of its files.
        writes: whether intervals are written in it.
        reads: whether annotations are read from it.
        one_video: a document holds one video; several videos are written as a folder of documents.
        overlaps: intervals of one class may overlap in it.
        kind: of its documents; an annotation project, in which a person may have worked on, is
            never replaced without asking.
        document: the format is a folder and this the name of the document in it; the module then
            also has ``place_videos(folder, media)``.
        beside: suffix of a second document that is written beside the first; the module then also
            has ``write_beside(results, media) -> str``.
    """

    module: str
    about: str
    suffix: str = ""
    writes: bool = True
    reads: bool = False
    one_video: bool = False
    overlaps: bool = False
    kind: Kind = Kind.PROJECT
    document: str | None = None
    beside: str | None = None

    def load(self) -> Any:
        """The module that reads and writes it."""
        return import_module(f"basnet_e2e.interchange.formats.{self.module}")


def _row(name: str, suffix: str, about: str, **rest: Any) -> tuple[str, Format]:
    return name, Format(name, about, suffix, **rest)


# In this order a file is offered to the readers.
TABLE: dict[str, Format] = dict(
    [
        _row("csv", ".csv", "spreadsheets", overlaps=True, kind=Kind.TABLE),
        _row("srt", ".srt", "subtitles", one_video=True, kind=Kind.SUBTITLES),
        _row("vtt", ".vtt", "subtitles of web pages", one_video=True, kind=Kind.SUBTITLES),
        _row("tsv", ".tsv", "whisper's table in ms", one_video=True),
        _row("elan", ".eaf", "ELAN", one_video=True, reads=True),
        _row("labelstudio", ".json", "Label Studio", beside=".xml", reads=True),
        _row("fiftyone", "", "FiftyOne", document="labels.json", reads=True),
        _row("boris", ".boris", "BORIS", reads=True),
        _row("boris_events", ".tsv", "aggregated events of BORIS", writes=False, reads=True),
        _row("deepethogram", "_labels.csv", "DeepEthogram", one_video=True, reads=True),
        _row("textgrid", ".TextGrid", "Praat", one_video=True),
        _row("otio", ".otio", "OpenTimelineIO", one_video=True),
        _row("edl", ".edl", "cut list of an editor", one_video=True),
        _row("losslesscut", ".llc", "LosslessCut", one_video=True),
        _row("chapters", ".ffmeta", "chapter marks", one_video=True),
        _row("via", ".json", "VIA 3", reads=True),
        _row(
            "activitynet",
            ".json",
            "ActivityNet detections",
            overlaps=True,
            kind=Kind.RESULT,
            reads=True,
        ),
        (OWN, Format("result_document", "a corrected page", ".json", writes=False, reads=True)),
        _row("known_times", ".csv", "intervals of basnet", writes=False, reads=True),
    ]
)
WRITERS = {name: row for name, row in TABLE.items() if row.writes}
READERS = {name: row for name, row in TABLE.items() if row.reads}
FORMATS = (OWN, *WRITERS)


def readers_of(file: AnnotationFile) -> Iterator[Any]:
    """Modules that know a file as their own, by its content."""
    for row in READERS.values():
        module = row.load()
        if module.is_own(file):
            yield module
