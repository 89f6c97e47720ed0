"""Elements of Matroska and WebM files (EBML: RFC 8794, RFC 9559) that PyAV lacks."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SEGMENT, TRACKS, TRACK, TRACK_TYPE, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x83, 0xE0
CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)  # at the left, the top, the right and the bottom
VIDEO_TRACK = 1
LONGEST_NUMBER = 8


class Element(NamedTuple):
    """An element and the bytes of its content; ``end`` is None if its size is unknown."""

    id: int
    begin: int
    end: int | None


def elements(file: BinaryIO, begin: int, end: int) -> Iterator[Element]:
    """Yield the elements between two offsets of a file, up to one of unknown size."""
    while begin < end:
        file.seek(begin)
        name, length = _number(file, keep_width=True), _number(file)
        if name is None:
            return
        place = file.tell()
        if length is None:
            yield Element(name, place, None)
            return
        begin = place + length
        yield Element(name, place, begin)


def picture_crop(path: str, number: int) -> tuple[int, int, int, int]:
    """Stored pixels that a player crops at the left, top, right and bottom of a video track."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)

        def inside(parent: Element | None, name: int) -> Iterator[Element]:
            found = () if parent is None else elements(file, parent.begin, parent.end or size)
            return (element for element in found if element.id == name)

        def value(parent: Element | None, name: int) -> int:
            element = next(inside(parent, name), None)
            if element is None or element.end is None:
                return 0
            file.seek(element.begin)
            return int.from_bytes(file.read(min(element.end - element.begin, LONGEST_NUMBER)))

        segment = next(inside(Element(0, 0, size), SEGMENT), None)
        tracks = inside(next(inside(segment, TRACKS), None), TRACK)
        videos = [track for track in tracks if value(track, TRACK_TYPE) == VIDEO_TRACK]
        video = next(inside(videos[number], VIDEO), None) if number < len(videos) else None
        left, top, right, bottom = (value(video, name) for name in CROPS)
        return left, top, right, bottom


def _number(file: BinaryIO, *, keep_width: bool = False) -> int | None:
    """Read a number of variable length; None if it is absent or means "unknown".

    Ids of elements keep the bit that marks the length.
    """
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    if len(rest) != width - 1:
        return None
    value, ones = int.from_bytes(first + rest), (1 << 7 * width) - 1
    if keep_width:
        return value
    return None if value & ones == ones else value & ones
