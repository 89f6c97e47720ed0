"""Whether a media file ends before its own structure says: a download or a copy that was cut off.

FFmpeg reads such a file without an error up to the cut, and what comes out is a shorter video. The
outermost elements of the common containers state their sizes, so the cut can be seen from a few
bytes: boxes of MP4 and MOV (ISO/IEC 14496-12), the segment of Matroska and WebM (RFC 9559), the
chunks of AVI (RIFF). A transport stream has no such frame and can end anywhere.
"""

import os
from typing import BinaryIO

EBML_MAGIC = b"\x1a\x45\xdf\xa3"
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
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
            end = _end_of_segment(file)
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


def _end_of_segment(file: BinaryIO) -> int:
    file.seek(len(EBML_MAGIC))
    header = _vint(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != MATROSKA_SEGMENT:
        return 0
    length = _vint(file)
    return 0 if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """A Matroska variable-length size; None where it is absent or states "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    if len(rest) != width - 1:
        return None
    bits = 7 * width
    value = int.from_bytes(first + rest, "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
