"""Projects of VIA 3: stretches of time with a label."""

from pathlib import Path
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help, video_id
from basnet_e2e.intervals import Interval


def read(path: Path, document: Any, help: Help) -> list[AnnotatedVideo]:
    """All videos of a project. Regions in pictures and instants are left out.

    Every attribute that a stretch of time has a value of gives a label.

    Raises:
        BasnetError: the project is damaged, or a stretch belongs to no file.
    """
    try:
        names = {
            view: video_id(str(document["file"][str(entry["fid_list"][0])]["fname"]))
            for view, entry in document["view"].items()
        }
        found: dict[str, list[Interval]] = {name: [] for name in names.values()}
        for item in document["metadata"].values():
            if len(item["z"]) == 2:
                found[names[str(item["vid"])]] += _intervals(path, item, document["attribute"])
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BasnetError(
            f"{path}: a damaged project of VIA ({type(error).__name__}: {error})"
        ) from error
    return [AnnotatedVideo.of(name, intervals) for name, intervals in found.items()]


def _intervals(path: Path, item: dict[str, Any], attributes: dict[str, Any]) -> list[Interval]:
    start, end = (float(time) for time in item["z"])
    if not 0 <= start < end:
        raise BasnetError(f"{path}: a stretch of time ends before it starts ({start} to {end} s)")
    labels = []
    for number, value in item["av"].items():
        options = attributes.get(number, {}).get("options", {})
        # Of several checked boxes VIA keeps the keys with commas between.
        keys = [value] if value in options or not options else str(value).split(",")
        labels += [str(options.get(key, key)).strip() for key in keys]
    return [Interval(label, start, end) for label in labels if label]
