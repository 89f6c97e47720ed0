"""Projects of VIA 3, the annotation tool that is a web page."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from basnet_e2e.data.files.text_files import convert, json_text
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    AnnotationFile,
    Hints,
    LeftOut,
    NotUnderstoodError,
    Unread,
    video_id,
)
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import in_time
from basnet_e2e.intervals import Interval, Localization
from weights.json_documents import Number, Seconds

# Writing ------------------------------------------------------------------------------------------

ATTRIBUTE = "1"
SEGMENT = "FILE1_Z2_XY0"  # VIA's name for a stretch of time in one file
SELECT, VIDEO = 4, 4
CHOSEN, BY_PATH = 1, 3  # where a file comes from


def write(results: Sequence[Localization], media: Media) -> str:
    """One project with a file and a view for each video."""
    numbers = {result.video: str(number) for number, result in enumerate(results, start=1)}
    found = {result.video: in_time(result) for result in results}
    options = dict.fromkeys(
        name
        for result in results
        for name in [*(one.label for one in found[result.video]), *result.classes]
    )
    return json_text(
        {
            "project": {
                # VIA fills these in when the project is first shared.
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": "actions",
                "creator": "basnet-e2e",
                "created": 0,
                "data_format_version": "3.1.1",
                "vid_list": list(numbers.values()),
            },
            "config": _config(),
            "attribute": {
                ATTRIBUTE: {
                    "aname": "action",
                    "anchor_id": SEGMENT,
                    "type": SELECT,
                    "desc": "What happens here",
                    "options": {name: name for name in options},
                    "default_option_id": "",
                }
            },
            "file": {
                numbers[result.video]: {
                    "fid": numbers[result.video],
                    "fname": media.name(result),
                    "type": VIDEO,
                    # A path is loaded at once; otherwise VIA asks for the file.
                    "loc": BY_PATH if result.video in media.files else CHOSEN,
                    "src": media.link(result) if result.video in media.files else "",
                }
                for result in results
            },
            "metadata": {
                f"{numbers[video]}_{index:08d}": _annotation(numbers[video], one)
                for video, intervals in found.items()
                # A file in which nothing happens has one annotation, which says nothing.
                for index, one in enumerate(intervals or [None])
            },
            "view": {number: {"fid_list": [number]} for number in numbers.values()},
        }
    )


def _annotation(view: str, one: Interval | None) -> dict[str, Any]:
    return {
        "vid": view,
        "flg": 0,
        "z": [one.start, one.end] if one else [],
        "xy": [],
        "av": {ATTRIBUTE: one.label if one else ""},
    }


def _config() -> dict[str, Any]:
    return {
        "file": {"loc_prefix": {str(place): "" for place in range(1, 5)}},
        "ui": {
            "file_content_align": "center",
            "file_metadata_editor_visible": True,
            "spatial_metadata_editor_visible": False,
            "temporal_segment_metadata_editor_visible": True,
            "spatial_region_label_attribute_id": "",
            "gtimeline_visible_row_count": "4",
        },
    }


# Reading ------------------------------------------------------------------------------------------


class _Attribute(msgspec.Struct):
    options: dict[str, str] = {}


class _File(msgspec.Struct):
    fname: str


class _View(msgspec.Struct):
    fid_list: list[str | int]


class _Metadata(msgspec.Struct):
    """``z`` holds no time (the whole file), one (an instant) or two, ``xy`` a region."""

    vid: str | int
    z: list[Seconds] = []
    xy: list[Number] = []
    av: dict[str, str | int | float | bool | None] = {}


class _Project(msgspec.Struct):
    file: dict[str, _File]
    view: dict[str, _View]
    metadata: dict[str, _Metadata]
    attribute: dict[str, _Attribute] = {}


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a project of VIA 3."""
    return file.has("metadata", "file")


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """All annotated videos of a project; an instant is a point.

    Every attribute that an annotation has a value of gives a label. An annotation of the whole
    file without any value says that nothing happens; a file without annotations is not annotated.

    Raises:
        BasnetError: the project is damaged.
    """
    project = convert(file.path, file.document, _Project)
    items: dict[str, list[tuple[str, _Metadata]]] = {view: [] for view in project.view}
    for key, item in project.metadata.items():
        items.setdefault(str(item.vid), []).append((key, item))
    for view, found in items.items():
        numbers = project.view[view].fid_list if view in project.view else []
        files = [str(number) for number in numbers]
        if len(files) != 1 or files[0] not in project.file:
            yield LeftOut(f"view {view}", f"a view of {len(files)} files, not of one")
            continue
        name = video_id(project.file[files[0]].fname)
        yield _video(name, found, project.attribute) if found else LeftOut(name)


def _video(
    name: str, items: list[tuple[str, _Metadata]], attributes: dict[str, _Attribute]
) -> AnnotatedVideo | LeftOut:
    unread = Unread()
    intervals: list[Interval] = []
    labels: list[str] = []
    for key, item in items:
        try:
            times = _times(item)
            names = _labels(item, attributes)
        except NotUnderstoodError as error:
            unread.add(str(error), f"metadata {key}")
            continue
        labels += names
        intervals += [Interval(label, *times) for label in names if times]
    return LeftOut(name, str(unread)) if unread else AnnotatedVideo.of(name, intervals, labels)


def _times(item: _Metadata) -> tuple[float, float] | None:
    if item.xy:
        raise NotUnderstoodError("a region in the picture")
    if not item.z:
        return None
    if len(item.z) > 2 or not 0 <= item.z[0] <= item.z[-1]:
        raise NotUnderstoodError("a stretch of time that ends before it starts")
    return item.z[0], item.z[-1]


def _labels(item: _Metadata, attributes: dict[str, _Attribute]) -> list[str]:
    labels = []
    for number, value in item.av.items():
        options = attributes[number].options if number in attributes else {}
        text = "" if value is None else str(value)
        # Of several checked boxes VIA keeps the keys with commas between them.
        keys = [text] if text in options or not options else text.split(",")
        labels += [options.get(key, key).strip() for key in keys]
    found = [label for label in labels if label]
    if not found and item.z:
        raise NotUnderstoodError("an annotation with no label")
    return found
