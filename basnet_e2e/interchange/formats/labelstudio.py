"""Tasks for Label Studio whose predictions a person corrects, and the labelling configuration."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

from basnet_e2e.interchange.json_text import json_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.plain import in_time, one_line
from basnet_e2e.intervals import Interval, Localization

# Label Studio counts frames of its own making: the configuration says how many a second has, and
# the player's clock does the rest. It need not be the video's rate.
FRAMES_PER_SECOND = Fraction(25)
CONTROL, OBJECT = "videoLabels", "video"


def write(results: Sequence[Localization], media: Media | None = None) -> str:
    """One task a video. ``data`` also holds the id and the rate, by which it is read back."""
    media = media or Media()
    return json_text_list([_task(result, media) for result in results])


def json_text_list(tasks: list[dict[str, Any]]) -> str:
    """A list of objects, written as every document."""
    if not tasks:
        return "[]\n"
    body = ",\n".join(json_text(task).rstrip("\n") for task in tasks)
    return f"[\n{body}\n]\n"


def write_beside(results: Sequence[Localization], media: Media) -> str:
    """The labelling configuration: every class that a result or its model names."""
    names = dict.fromkeys(
        one_line(name)
        for result in results
        for name in [*(found.label for found in in_time(result)), *result.classes]
    )
    view = ElementTree.Element("View")
    labels = ElementTree.SubElement(view, "TimelineLabels", name=CONTROL, toName=OBJECT)
    for name in names:
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
    first, last = frames_of(found, rate)
    return {
        "id": f"interval{index}",
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "timelinelabels",
        "score": found.score,
        "value": {
            "ranges": [{"start": first, "end": last}],
            "timelinelabels": [one_line(found.label)],
        },
    }


def frames_of(found: Interval, rate: Fraction) -> tuple[int, int]:
    """First and last frame of an interval, counted from 1, both inside.

    >>> frames_of(Interval("dive", 0.0, 0.08), Fraction(25))
    (1, 2)
    """
    first = round(found.start * rate) + 1
    return first, max(round(found.end * rate), first)
