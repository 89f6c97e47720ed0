"""Label Studio: tasks whose predictions a person corrects, and exports of what they chose."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from basnet_e2e.data.files.text_files import convert, json_text, read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.addresses import is_video, path_in
from basnet_e2e.interchange.annotated import (
    AnnotatedVideo,
    AnnotationFile,
    Hints,
    LeftOut,
    NotUnderstoodError,
    Unread,
    parse_xml,
    video_id,
)
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import class_names, frames_of, in_time, one_line
from basnet_e2e.intervals import Interval, Localization
from weights.json_documents import Count, Number, Seconds

# Writing ------------------------------------------------------------------------------------------

# Label Studio counts frames of its own: the configuration says how many per second, which need not
# be the video's rate.
FRAMES_PER_SECOND = Fraction(25)
CONTROL, OBJECT = "videoLabels", "video"


def write(results: Sequence[Localization], media: Media) -> str:
    """One task per video. ``data`` also holds the id and the rate, by which it is read back."""
    return json_text([_task(result, media) for result in results])


def write_beside(results: Sequence[Localization], media: Media) -> str:
    """The labelling configuration: every class that a result or its model names."""
    view = ElementTree.Element("View")
    labels = ElementTree.SubElement(view, "TimelineLabels", name=CONTROL, toName=OBJECT)
    for name in class_names(results):
        ElementTree.SubElement(labels, "Label", value=name)
    rate = float(media.fps or FRAMES_PER_SECOND)
    ElementTree.SubElement(
        view, "Video", name=OBJECT, value="$video", frameRate=str(rate), timelineHeight="120"
    )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _task(result: Localization, media: Media) -> dict[str, Any]:
    rate = media.rate(result, FRAMES_PER_SECOND)
    found = in_time(result)
    return {
        "data": {
            "video": media.name(result),
            "id": result.video,
            "fps": float(rate),
            "duration": round(result.duration, 3),
        },
        "predictions": [
            {
                "model_version": result.model or "basnet",
                "score": max((one.score for one in found), default=0.0),
                "result": [_region(index, one, rate) for index, one in enumerate(found)],
            }
        ],
    }


def _region(index: int, found: Interval, rate: Fraction) -> dict[str, Any]:
    first, stop = frames_of(found, rate)
    return {
        "id": f"interval{index}",
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "timelinelabels",
        "score": found.score,
        "value": {
            "ranges": [{"start": first + 1, "end": stop}],  # counted from 1, both inside
            "timelinelabels": [one_line(found.label)],
        },
    }


# Reading ------------------------------------------------------------------------------------------

log = logging.getLogger(__name__)
# Label Studio puts this before the name of a file that was uploaded.
UPLOAD = re.compile(r"data/upload/(?:\d+/)?[0-9a-f]{8}-")
DEFAULT_RATE = Fraction(24)
# What Label Studio shows between the levels of a taxonomy.
TAXONOMY_SEPARATOR = " / "
# Results that name no class: a video is read without them, yet never as background.
REMARKS = frozenset({"textarea", "rating", "number", "datetime", "relation", "pairwise"})


class _Range(msgspec.Struct):
    """Frames, counted from 1, both inside."""

    start: Count
    end: Count


class _Value(msgspec.Struct):
    """Names, and when: ``ranges`` in frames, ``start`` and ``end`` in seconds, or the whole video.

    Text has ``start`` and ``end`` too, which count letters or are paths in a web page.
    """

    ranges: list[_Range] | None = None
    start: Seconds | str | None = None
    end: Seconds | str | None = None
    text: str | None = None
    timelinelabels: list[str] = []
    labels: list[str] = []
    choices: list[str] = []
    taxonomy: list[list[str]] = []


class _Result(msgspec.Struct):
    type: str = ""
    value: dict[str, Any] | None = None
    id: str | int | None = None
    to_name: str = ""
    original_length: Number | None = None


class _Annotation(msgspec.Struct):
    result: list[_Result] | None = None
    was_cancelled: bool = False
    ground_truth: bool = False
    updated_at: str | None = None


class _Task(msgspec.Struct):
    data: dict[str, Any]
    annotations: list[_Annotation] | None = None
    id: int | str | None = None


@dataclass(frozen=True)
class _Export:
    """One export, and what is known besides it.

    Attributes:
        path: the file.
        keys: name of each video tag of the labelling configuration -> the key of a task's data
            that holds the video's address.
        rate: frames per second, by the person or the configuration; None where the tasks say it.
        with_modifiers: whether a region with a choice is a class of its own.
    """

    path: Path
    keys: dict[str, str]
    rate: Fraction | None
    with_modifiers: bool = False


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a list of tasks."""
    return isinstance(file.document, list)


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The annotated tasks. Predictions are a model's and are not read.

    Of several annotations of one task the one marked as ground truth counts, else the latest. The
    labelling configuration is read from the file of the same name ending in ``.xml``, if it exists.

    Raises:
        BasnetError: not an export of tasks, or its frames cannot be turned into seconds.
    """
    path, document = file.path, file.document
    for task in document:
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise BasnetError(
                f"{path}: not Label Studio's JSON export, whose tasks have 'data' and "
                "'annotations' (JSON-MIN leaves out too much)"
            )
    keys, rate = _configuration(path.with_suffix(".xml"))
    export = _Export(path, keys, hints.fps or rate, hints.with_modifiers)
    remarks: Counter[str] = Counter()
    for number, task in enumerate(convert(path, document, list[_Task]), start=1):
        results = _results(task)
        try:
            name, is_ours = _video(export, task.data, results or [])
        except NotUnderstoodError as error:
            yield LeftOut(f"task {task.id or number}", str(error))
            continue
        found = LeftOut(name) if results is None else _read(export, name, is_ours, task, results)
        if isinstance(found, AnnotatedVideo):
            remarks.update(filter(None, map(_remark, results or [])))
            if not hints.with_modifiers:
                remarks.update(f"{one.type} of a region" for one in _modifiers(results or []))
        yield found
    if remarks:
        parts = ", ".join(f"{kind} ({count})" for kind, count in remarks.items())
        log.info("%s: not read, since they name no class: %s", path, parts)


def _results(task: _Task) -> list[_Result] | None:
    """Results of the annotation that counts; None where nobody submitted one."""
    done = [item for item in task.annotations or [] if not item.was_cancelled]
    chosen = [item for item in done if item.ground_truth] or done
    return max(chosen, key=lambda item: item.updated_at or "").result if chosen else None


def _read(
    export: _Export, name: str, is_ours: bool, task: _Task, results: list[_Result]
) -> AnnotatedVideo | LeftOut:
    unread = Unread()
    intervals: list[Interval] = []
    labels: list[str] = []
    modifiers = _modifiers(results)
    said = [one for one in results if not _remark(one) and one not in modifiers]
    for index, result in enumerate(said, start=1):
        try:
            value, names = _value(export, result)
            times = _times(export, task.data, result, value)
        except NotUnderstoodError as error:
            unread.add(str(error), f"result {result.id or index}")
            continue
        if export.with_modifiers and times:
            own = [one for one in modifiers if one.id == result.id]
            chosen = [name for one in own for name in _value(export, one)[1]]
            names = [f"{name} [{'|'.join(chosen)}]" if chosen else name for name in names]
        intervals += [Interval(label, *span) for span in times or [] for label in names]
        labels += names if times is None else []
    if results and not said:
        unread.add("nothing but remarks: " + ", ".join(set(map(_remark, results))))
    if unread:
        return LeftOut(name, str(unread))
    limit = _duration(task.data, results, is_ours)
    if limit is not None:
        intervals = [one.clip(limit) for one in intervals]
    return AnnotatedVideo.of(name, intervals, labels, limit)


def _modifiers(results: list[_Result]) -> list[_Result]:
    """What was chosen of a labelled region (``perRegion``): it has the region's id and times."""
    regions = {one.id for one in results if one.type in ("timelinelabels", "labels")} - {None}
    chosen = [one for one in results if one.type in ("choices", "taxonomy") and one.id in regions]
    return [one for one in chosen if (one.value or {}).keys() & {"ranges", "start"}]


def _remark(result: _Result) -> str:
    """What a result is that says nothing of any class; empty for one that does."""
    if result.type in REMARKS:
        return result.type
    # Label Studio loses the ranges of a region now and then (its issue 9744).
    value = result.value if result.type == "timelinelabels" else None
    lost = value is not None and value.keys() == {result.type}
    return f"{result.type} without ranges" if lost else ""


def _duration(data: dict[str, Any], results: list[_Result], is_ours: bool) -> float | None:
    """Seconds; of the data only our own tasks' are known to be those of the video."""
    own = data.get("duration") if is_ours else None
    for found in (own, *(result.original_length for result in results)):
        if isinstance(found, int | float) and 0 < found < float("inf"):
            return float(found)
    return None


# Classes and times -------------------------------------------------------------------------------


def _value(export: _Export, result: _Result) -> tuple[_Value, list[str]]:
    """A result's value, and the classes that it names."""
    if result.type not in ("timelinelabels", "labels", "choices", "taxonomy"):
        raise NotUnderstoodError(result.type or "a result without a type")
    if result.value is None or "sequence" in result.value:
        raise NotUnderstoodError(f"{result.type} of a tracked region or without a value")
    value = convert(export.path, result.value, _Value)
    paths = [TAXONOMY_SEPARATOR.join(item) for item in value.taxonomy]
    names = paths if result.type == "taxonomy" else getattr(value, result.type)
    if not names or not all(name.strip() for name in names):
        raise NotUnderstoodError(f"{result.type} without a name")
    return value, [name.strip() for name in names]


def _times(
    export: _Export, data: dict[str, Any], result: _Result, value: _Value
) -> list[tuple[float, float]] | None:
    """Stretches of time in seconds; None for the whole video."""
    if value.ranges:
        rate = _rate(export, data)
        # Frames count from 1, and the last one is inside.
        times = [
            (float(max(one.start - 1, 0) / rate), float(one.end / rate)) for one in value.ranges
        ]
    elif isinstance(value.start, float) and isinstance(value.end, float) and value.text is None:
        times = [(value.start, value.end)]
    elif value.start is not None or value.end is not None:
        raise NotUnderstoodError(f"{result.type} in a text")
    elif result.type in ("choices", "taxonomy"):
        return None
    else:
        raise NotUnderstoodError(f"{result.type} without times")
    if not all(0 <= start <= end < float("inf") for start, end in times):
        raise NotUnderstoodError(f"{result.type} that ends before it starts")
    return times


def _rate(export: _Export, data: dict[str, Any]) -> Fraction:
    rate = export.rate or _positive(data.get("fps"))
    if rate is None:
        raise BasnetError(
            f"{export.path}: Label Studio counts frames; say how many per second by the labelling "
            f"configuration (its frameRate, {DEFAULT_RATE} where it has none): --fps, or save the "
            f"configuration beside this file as {export.path.with_suffix('.xml').name}"
        )
    return rate


def _positive(value: Any) -> Fraction | None:
    try:
        # First as a float: an exponent of nine digits would fill the memory.
        return Fraction(str(value)) if 0.001 < float(value) < 1e6 else None
    except (TypeError, ValueError):
        return None


# Which video -------------------------------------------------------------------------------------


def _configuration(path: Path) -> tuple[dict[str, str], Fraction | None]:
    """Video tags -> keys of the data, and frames per second, by the labelling configuration."""
    if not path.is_file():
        return {}, None
    tags = list(parse_xml(path, read_text(path)).iter("Video"))
    keys = {tag.get("name", ""): tag.get("value", "").removeprefix("$") for tag in tags}
    rates = {tag.get("frameRate", str(DEFAULT_RATE)) for tag in tags}
    # It may be a key of the data, such as "$fps".
    return keys, _positive(rates.pop()) if len(rates) == 1 else None


def _video(export: _Export, data: dict[str, Any], results: list[_Result]) -> tuple[str, bool]:
    """Id of a task's video, and whether the task is one of ours, whose data state the id."""
    name = video_id(UPLOAD.sub("", path_in(_address(export, data, results))))
    if not name:
        raise NotUnderstoodError("a task that names no video")
    own = data.get("id")
    if isinstance(own, str) and own and f"/{name}".endswith(f"/{own}"):
        return own, True
    return name, False


def _address(export: _Export, data: dict[str, Any], results: list[_Result]) -> str:
    """The value that names the video: by the configuration, else its suffix, else its key."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    targets = {result.to_name for result in results}
    by_tag = [export.keys[tag] for tag in export.keys if tag in targets]
    for key in (*by_tag, *export.keys.values()):
        if key in texts:
            return texts[key]
    usual = [key for key in (*targets, "video", "video_url") if key in texts]
    media = [key for key in texts if is_video(texts[key])]
    for keys in ([key for key in usual if key in media], media, usual):
        addresses = {texts[key] for key in keys}
        if len(addresses) == 1:
            return addresses.pop()
        if addresses:
            raise NotUnderstoodError(f"several data could be its video ({', '.join(keys)})")
    raise NotUnderstoodError("a task that names no video")
