"""Intervals as an annotation file of ELAN (EAF 2.8): a tier per class, whole milliseconds."""

from collections.abc import Sequence
from mimetypes import guess_type
from urllib.parse import quote
from xml.etree import ElementTree

from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.plain import in_time, one_line
from basnet_e2e.intervals import Interval, Localization

FORMAT = "2.8"
SCHEMA = f"http://www.mpi.nl/tools/elan/EAFv{FORMAT}.xsd"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
LINGUISTIC_TYPE = "action"
# Properties of the header that ELAN keeps and our own reader looks for.
VIDEO, DURATION = "basnet:video", "basnet:duration"


def write(results: Sequence[Localization], media: Media | None = None) -> str:
    """The document of one video. ELAN has no place for scores; a value is the label."""
    result, media = results[0], media or Media()
    tiers: dict[str, list[Interval]] = {}
    for found in in_time(result):
        tiers.setdefault(one_line(found.label), []).append(found)
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
