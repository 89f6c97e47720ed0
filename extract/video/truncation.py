"""Whether a media file is truncated, as by an interrupted download.

FFmpeg reads such a file up to the cut without an error. The outermost elements of the common
containers state their sizes, so a few bytes reveal the cut: the boxes of MP4 and MOV (ISO/IEC
14496-12), the segment of Matroska and WebM (RFC 9559), the chunks of AVI (RIFF). A transport stream
has no such element and can end anywhere.
"""

import os
from typing import BinaryIO

from extract.video.matroska import SEGMENT, elements

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
# Types of boxes that an MP4 or MOV file begins with.
MP4_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}


def missing_bytes(path: str) -> int:
    """Bytes by which the outermost element reaches past the end of the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[4:8] in MP4_FIRST_BOXES:
            end = _end_of_boxes(file, size)
        elif head[:4] == b"RIFF" and head[8:11] == b"AVI":
            end = _end_of_chunks(file, size)
        elif head[:4] == EBML_MAGIC:
            end = _end_of_segment(file, size)
        else:
            return 0
    return max(end - size, 0)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
        if length == 0 or not head[4:8].isalnum():  # to the end of the file, or trailing padding
            return size
        position += max(length, 8)
    return position


def _end_of_chunks(file: BinaryIO, size: int) -> int:
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return position
        length = int.from_bytes(head[4:8], "little")
        if length == 0:  # the recorder never got to write it
            return size
        position += 8 + length + length % 2
    # An odd length is padded to an even one, but some writers omit the last padding byte.
    return position - 1 if position == size + 1 else position


def _end_of_segment(file: BinaryIO, size: int) -> int:
    segment = next((each for each in elements(file, 0, size) if each.id == SEGMENT), None)
    return 0 if segment is None else segment.end or 0
