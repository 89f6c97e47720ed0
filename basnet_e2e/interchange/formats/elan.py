"""Annotation files of ELAN (.eaf): a tier per class, whole milliseconds."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from basnet_e2e.errors import BasnetError
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
from basnet_e2e.interchange.output_text import by_class, one_line
from basnet_e2e.intervals import Interval, Localization
from extract.sources.find import VIDEO_SUFFIXES

# Writing ------------------------------------------------------------------------------------------

FORMAT = "2.8"
SCHEMA = f"http://www.mpi.nl/tools/elan/EAFv{FORMAT}.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
LINGUISTIC_TYPE = "action"
# Properties of the header that ELAN keeps and our own reader looks for.
VIDEO, DURATION = "basnet:video", "basnet:duration"


def write(result: Localization, media: Media) -> str:
    """The document of one video. ELAN has no place for scores; a value is the label."""
    tiers = by_class(result)
    ElementTree.register_namespace("xsi", INSTANCE)
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            # A required attribute; no clock, so that equal results give equal bytes.
            "DATE": "2000-01-01T00:00:00+00:00",
            "FORMAT": FORMAT,
            "VERSION": FORMAT,
            f"{{{INSTANCE}}}noNamespaceSchemaLocation": SCHEMA,
        },
    )
    _header(root, result, media, sum(map(len, tiers.values())))
    order = ElementTree.SubElement(root, "TIME_ORDER")
    for name, found_there in tiers.items():
        _tier(root, order, name, found_there)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID=LINGUISTIC_TYPE,
        TIME_ALIGNABLE="true",
    )
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _header(root: ElementTree.Element, result: Localization, media: Media, count: int) -> None:
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    link = one_line(media.link(result))
    url = quote(link if link.startswith((".", "/")) else f"./{link}")
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=url,
        MIME_TYPE=guess_type(link)[0] or "video/mp4",
        RELATIVE_MEDIA_URL=url,
    )
    for name, value in (
        (VIDEO, one_line(result.video)),
        (DURATION, f"{result.duration:.3f}"),
        ("lastUsedAnnotationId", str(count)),
    ):
        ElementTree.SubElement(header, "PROPERTY", NAME=name).text = value


def _tier(
    root: ElementTree.Element, order: ElementTree.Element, name: str, found: Sequence[Interval]
) -> None:
    tier = ElementTree.SubElement(
        root, "TIER", LINGUISTIC_TYPE_REF=LINGUISTIC_TYPE, TIER_ID=name or "action"
    )
    for one in found:
        slots = [_slot(order, time) for time in (one.start, one.end)]
        place = ElementTree.SubElement(tier, "ANNOTATION")
        annotation = ElementTree.SubElement(
            place,
            "ALIGNABLE_ANNOTATION",
            ANNOTATION_ID=f"a{len(order) // 2}",
            TIME_SLOT_REF1=slots[0],
            TIME_SLOT_REF2=slots[1],
        )
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = name


def _slot(order: ElementTree.Element, seconds: float) -> str:
    name = f"ts{len(order) + 1}"
    ElementTree.SubElement(
        order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(round(seconds * 1000))
    )
    return name


# Reading ------------------------------------------------------------------------------------------

# What a time counts -> seconds.
UNITS = {
    "milliseconds": Fraction(1, 1000),
    "PAL-frames": Fraction(1, 25),
    "NTSC-frames": Fraction(1001, 30000),
}
LONGEST = 10**12  # of any unit: what is beyond is damage
DEEPEST = 50  # annotations that refer to one another
Span = tuple[Fraction, Fraction]


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is XML, which only ELAN writes among these tools."""
    return file.text.lstrip().startswith("<")


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The one video of a file. A label is an annotation's value, or its tier's name where empty.

    An annotation that refers to another has its time; of several in a row that refer to one each
    has an equal part.

    Raises:
        BasnetError: the file is damaged.
    """
    path = file.path
    root = parse_xml(path, file.text)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise BasnetError(f"{path}: XML, but not an annotation file of ELAN (<{root.tag}>)")
    properties = {
        item.get("NAME", ""): (item.text or "").strip() for item in root.iterfind("HEADER/PROPERTY")
    }
    media = _media(root)
    name = properties.get(VIDEO) or _video(media) or path.stem
    try:
        duration = _seconds(properties[DURATION]) if DURATION in properties else None
        origin = _whole((media.get("TIME_ORIGIN") if media is not None else None) or "0")
    except ValueError as error:
        raise BasnetError(f"{path}: {DURATION} or TIME_ORIGIN: {error}") from error
    times = _Times(path, root)
    unread = Unread()
    found = []
    for tier in root.iterfind("TIER"):
        for item in tier.iterfind("ANNOTATION/*"):
            label = (item.findtext("ANNOTATION_VALUE") or "").strip() or tier.get("TIER_ID", "")
            try:
                start, end = (float(time + Fraction(origin, 1000)) for time in times.of(item))
                if not 0 <= start <= end:
                    raise NotUnderstoodError("an annotation that ends before it starts")
            except NotUnderstoodError as error:
                unread.add(str(error), f"'{label}' in tier '{tier.get('TIER_ID', '')}'")
                continue
            found.append(Interval(label, start, end))
    yield LeftOut(name, str(unread)) if unread else AnnotatedVideo.of(name, found, (), duration)


def _media(root: ElementTree.Element) -> ElementTree.Element | None:
    """The video among the media, which sound and sensor data may precede."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    by_type = [one for one in media if one.get("MIME_TYPE", "").startswith("video/")]
    by_name = [one for one in media if Path(_url(one)).suffix.lower() in VIDEO_SUFFIXES]
    silent = [one for one in media if not one.get("MIME_TYPE", "").startswith("audio/")]
    return next(iter(by_type or by_name or silent or media), None)


def _url(media: ElementTree.Element) -> str:
    return unquote(media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or "")


def _video(media: ElementTree.Element | None) -> str:
    url = _url(media) if media is not None else ""
    # Absolute ones name a folder of the annotator's machine.
    return video_id(url.rsplit("/", 1)[-1] if url.startswith("file:") else url)


class _Times:
    """Seconds of every annotation of a file.

    Raises:
        BasnetError: a time slot is damaged, or times are counted in an unknown unit.
    """

    def __init__(self, path: Path, root: ElementTree.Element) -> None:
        header = root.find("HEADER")
        unit = header.get("TIME_UNITS", "milliseconds") if header is not None else "milliseconds"
        if unit not in UNITS:
            raise BasnetError(f"{path}: its times count '{unit}'; known are {', '.join(UNITS)}")
        slots = list(root.iterfind("TIME_ORDER/TIME_SLOT"))
        names = [slot.get("TIME_SLOT_ID", "") for slot in slots]
        try:
            self._slots = {
                name: _whole(slot.get("TIME_VALUE", "")) * UNITS[unit]
                for name, slot in zip(names, slots, strict=True)
                if slot.get("TIME_VALUE")
            }
        except ValueError as error:
            raise BasnetError(f"{path}: a time slot: {error}") from error
        # The parts of one annotation share their slots, so first along each tier; what is left
        # lies between its neighbours in the order of all slots.
        for tier in root.iterfind("TIER"):
            for chain in _chains(tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION")):
                self._fill(chain)
        self._fill(names)
        self._references = _references(root)
        self._annotations = {
            item.get("ANNOTATION_ID", ""): item for item in root.iterfind("TIER/ANNOTATION/*")
        }

    def of(self, item: ElementTree.Element, depth: int = 0) -> Span:
        """Start and end of an annotation.

        Raises:
            NotUnderstoodError: the file does not say them.
        """
        target = item.get("ANNOTATION_REF")
        if target is None:
            refs = [item.get(f"TIME_SLOT_REF{number}", "") for number in (1, 2)]
            if not all(ref in self._slots for ref in refs):
                raise NotUnderstoodError("an annotation with no start or end time")
            return self._slots[refs[0]], self._slots[refs[1]]
        if target not in self._annotations or depth > DEEPEST:
            raise NotUnderstoodError("an annotation that refers to none")
        start, end = self.of(self._annotations[target], depth + 1)
        parts, place = self._references[item.get("ANNOTATION_ID", "")]
        part = (end - start) / parts
        return start + part * place, start + part * (place + 1)

    def _fill(self, chain: Sequence[str]) -> None:
        """Space slots without a value evenly between their neighbours that have one."""
        known = [index for index, name in enumerate(chain) if name in self._slots]
        for first, last in itertools.pairwise(known):
            start, end = self._slots[chain[first]], self._slots[chain[last]]
            for index in range(first + 1, last):
                part = Fraction(index - first, last - first)
                self._slots[chain[index]] = start + (end - start) * part


def _whole(text: str) -> int:
    if len(text) > len(str(LONGEST)) or abs(found := int(text)) > LONGEST:
        raise ValueError(f"{text[:20]} is beyond {LONGEST}")
    return found


def _seconds(text: str) -> float:
    if not 0 < (found := float(text)) < float("inf"):
        raise ValueError(f"{text[:20]} is not a positive number of seconds")
    return found


def _chains(items: Iterator[ElementTree.Element]) -> list[list[str]]:
    """Slots of a tier's annotations, each beginning where the one before it ends."""
    following = {item.get("TIME_SLOT_REF1", ""): item.get("TIME_SLOT_REF2", "") for item in items}
    starts = following.keys() - set(following.values())
    chains = []
    for start in starts:
        chain = [start]
        while chain[-1] in following:
            chain.append(following.pop(chain[-1]))
        chains.append(chain)
    return chains


def _references(root: ElementTree.Element) -> dict[str, tuple[int, int]]:
    """Annotation that refers to another -> number of equal parts in its tier, and its place."""
    places: dict[str, tuple[int, int]] = {}
    for tier in root.iterfind("TIER"):
        groups: dict[str, list[str]] = {}
        for item in tier.iterfind("ANNOTATION/REF_ANNOTATION"):
            name = item.get("ANNOTATION_ID", "")
            groups.setdefault(item.get("ANNOTATION_REF", ""), []).append(name)
        for names in groups.values():
            places |= {name: (len(names), place) for place, name in enumerate(names)}
    return places
