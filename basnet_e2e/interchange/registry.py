"""Every format of another tool: one row here and one file in ``formats/``."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from basnet_e2e.data.files.file_kinds import Kind

OWN = "json"


@dataclass(frozen=True)
class Format:
    """One format. Its module is imported at first use.

    Attributes:
        name: of the format and of its module, which has ``write(results, media) -> str`` if it is
            written (``write(result, media)`` with ``one_video``); if it is read, ``is_own(file) ->
            bool`` and ``read(file, hints)``, which yields annotated videos and those left out.
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

    name: str
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
        return import_module(f"basnet_e2e.interchange.formats.{self.name}")


# In this order a file is offered to the readers.
ROWS = (
    Format("csv", "spreadsheets", ".csv", overlaps=True, kind=Kind.TABLE),
    Format("srt", "subtitles", ".srt", one_video=True, kind=Kind.SUBTITLES),
    Format("vtt", "subtitles of web pages", ".vtt", one_video=True, kind=Kind.SUBTITLES),
    Format("tsv", "whisper's table in ms", ".tsv", one_video=True),
    Format("elan", "ELAN", ".eaf", one_video=True, reads=True),
    Format("labelstudio", "Label Studio", ".json", beside=".xml", reads=True),
    Format("fiftyone", "FiftyOne", document="labels.json", reads=True),
    Format("boris", "BORIS", ".boris", reads=True),
    Format("boris_events", "aggregated events of BORIS", ".tsv", writes=False, reads=True),
    Format("deepethogram", "DeepEthogram", "_labels.csv", one_video=True, reads=True),
    Format("textgrid", "Praat", ".TextGrid", one_video=True),
    Format("otio", "OpenTimelineIO", ".otio", one_video=True),
    Format("edl", "cut list of an editor", ".edl", one_video=True),
    Format("losslesscut", "LosslessCut", ".llc", one_video=True),
    Format("chapters", "chapter marks", ".ffmeta", one_video=True),
    Format("via", "VIA 3", ".json", reads=True),
    Format(
        "activitynet",
        "ActivityNet detections",
        ".json",
        reads=True,
        overlaps=True,
        kind=Kind.RESULT,
    ),
    Format("json", "a corrected page", ".json", writes=False, reads=True),
    Format("known_times", "intervals of basnet", ".csv", writes=False, reads=True),
)
WRITERS = {row.name: row for row in ROWS if row.writes}
READERS = {row.name: row for row in ROWS if row.reads}
FORMATS = (OWN, *WRITERS)
