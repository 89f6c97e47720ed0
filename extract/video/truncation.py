"""Whether a media file ends before its own structure says: a download or a copy that was cut off.

FFmpeg reads such a file without an error up to the cut, and what comes out is a shorter video. The
outermost elements of the common containers state their sizes, so the cut can be seen from a few
bytes: boxes of MP4 and MOV (ISO/IEC 14496-12), the segment of Matroska and WebM (RFC 9559), the
chunks of AVI (RIFF). A transport stream has no such frame and can end anywhere.
"""

import os
from typing import BinaryIO

from extract.video.matroska import SEGMENT, elements

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
# Box types that open an MP4 or MOV file; without one the file is of another kind.
MP4_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}


def missing_bytes(path: str) -> int:
    """Bytes by which the file's outermost element reaches past its end; 0 where nothing is missing.

    Raises:
        OSError: the file cannot be read.
    """
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
        if length == 0:  # a recorder that never came to write it
            return size
        position += 8 + length + length % 2
    # An odd length is padded to an even one, and writers leave that byte out at the end.
    return position - 1 if position == size + 1 else position


def _end_of_segment(file: BinaryIO, size: int) -> int:
    segment = next((each for each in elements(file, 0, size) if each.id == SEGMENT), None)
    return 0 if segment is None else segment.end or 0
