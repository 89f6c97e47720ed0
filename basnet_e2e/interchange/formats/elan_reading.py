"""Annotation files of ELAN (.eaf)."""

from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from basnet_e2e.data.files.text_files import read_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, Help, video_id
from basnet_e2e.interchange.formats.elan import DURATION, VIDEO
from basnet_e2e.intervals import Interval


def read(path: Path, help: Help) -> list[AnnotatedVideo]:
    """The one video of a file. A label is an annotation's value, or its tier's name where empty.

    Annotations that only refer to others have no time of their own and are left out.

    Raises:
        BasnetError: the file is damaged, or an annotation lacks a time.
    """
    root = _root(path)
    properties = {
        item.get("NAME", ""): (item.text or "").strip() for item in root.iterfind("HEADER/PROPERTY")
    }
    slots = {
        slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE")
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
    }
    found = [
        _interval(path, tier.get("TIER_ID", ""), item, slots)
        for tier in root.iterfind("TIER")
        for item in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION")
    ]
    try:
        duration = float(properties[DURATION]) if DURATION in properties else None
    except ValueError as error:
        raise BasnetError(f"{path}: its property {DURATION} is no number") from error
    return [AnnotatedVideo.of(_video(path, root, properties), found, duration=duration)]


def _root(path: Path) -> ElementTree.Element:
    text = read_text(path)
    # Entities can blow up to any size; ELAN writes none.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BasnetError(f"{path}: holds a document type, which files of ELAN do not")
    try:
        root = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise BasnetError(f"{path}: not valid XML ({error})") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise BasnetError(f"{path}: XML, but no annotation file of ELAN (<{root.tag}>)")
    return root


def _video(path: Path, root: ElementTree.Element, properties: dict[str, str]) -> str:
    if properties.get(VIDEO):
        return properties[VIDEO]
    for media in root.iterfind("HEADER/MEDIA_DESCRIPTOR"):
        url = media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
        # Absolute ones name a folder of the annotator's machine.
        name = unquote(url).rsplit("/", 1)[-1] if url.startswith("file:") else unquote(url)
        if video_id(name):
            return video_id(name)
    return path.stem


def _interval(
    path: Path, tier: str, item: ElementTree.Element, slots: dict[str, str | None]
) -> Interval:
    label = (item.findtext("ANNOTATION_VALUE") or "").strip() or tier
    try:
        start, end = (
            int(slots[item.get(f"TIME_SLOT_REF{number}", "")] or "") / 1000 for number in (1, 2)
        )
    except (KeyError, ValueError) as error:
        raise BasnetError(
            f"{path}: an annotation of tier '{tier}' has no start or end time"
        ) from error
    if end <= start:
        raise BasnetError(f"{path}: an annotation of tier '{tier}' ends before it starts")
    return Interval(label, start, end)
