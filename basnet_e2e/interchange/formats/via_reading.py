"""Projects of VIA 3: stretches of time with a label, or labels of a whole video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from basnet_e2e.data.files.text_files import convert
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    Help,
    LeftOut,
    NotUnderstoodError,
    Unread,
    video_id,
)
from basnet_e2e.intervals import Interval


class _Attribute(msgspec.Struct):
    options: dict[str, str] = {}


class _File(msgspec.Struct):
    fname: str


class _View(msgspec.Struct):
    fid_list: list[str | int]


class _Metadata(msgspec.Struct):
    """``z`` holds no time (the whole file), one (an instant) or two, ``xy`` a region."""

    vid: str | int
    z: list[float] = []
    xy: list[float] = []
    av: dict[str, str | int | float | bool | None] = {}


class _Project(msgspec.Struct):
    file: dict[str, _File]
    view: dict[str, _View]
    metadata: dict[str, _Metadata]
    attribute: dict[str, _Attribute] = {}


def read(path: Path, document: Any, help: Help) -> Iterator[AnnotatedVideo | LeftOut]:
    """All annotated videos of a project; an instant is a point.

    Every attribute that an annotation has a value of gives a label. An annotation of the whole
    file without any value says that nothing happens; a file without annotations is not annotated.

    Raises:
        BasnetError: the project is damaged.
    """
    project = convert(path, document, _Project)
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
