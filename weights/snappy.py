"""Decompress Snappy's block format, as google/snappy's format_description.txt defines it.

TensorFlow before 1.2 could write a checkpoint's index with it.
"""

LITERAL, SHORT_COPY, COPY = 0, 1, 2  # lowest two bits of a tag; 3 is a copy from further back
LONG_LITERAL = 60  # a length above it stands in as many bytes as it exceeds 59
LIMIT = 64 << 20  # bytes; an index has some kilobytes


def decompress(data: bytes) -> bytes:
    """The bytes that ``data`` stands for.

    Raises:
        ValueError: it is damaged, or stands for more than `LIMIT` bytes.
    """
    size, at = _size(data)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        kind, at = tag & 3, at + 1
        if kind == LITERAL:
            length, at = _literal_length(data, tag >> 2, at)
            out += data[at : at + length]
            at += length
            continue
        if kind == SHORT_COPY:
            length, width = (tag >> 2 & 7) + 4, 1
        else:
            length, width = (tag >> 2) + 1, 2 if kind == COPY else 4
        back = int.from_bytes(data[at : at + width], "little")
        at += width
        if kind == SHORT_COPY:
            back |= tag >> 5 << 8
        if not 0 < back <= len(out):
            raise ValueError("a copy from before the beginning")
        part = out[-back:][:length]
        out += (part * (length // len(part) + 1))[:length]  # a copy may reach into itself
        if len(out) > size:
            break
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes came out of a compressed block instead of {size}")
    return bytes(out)


def _size(data: bytes) -> tuple[int, int]:
    """Length of the result, a base-128 number, and the position behind it."""
    size = 0
    for at, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            if size > LIMIT:
                raise ValueError(f"a compressed block of {size} bytes")
            return size, at + 1
    raise ValueError("no length of a compressed block")


def _literal_length(data: bytes, length: int, at: int) -> tuple[int, int]:
    if length >= LONG_LITERAL:
        width = length - LONG_LITERAL + 1
        length = int.from_bytes(data[at : at + width], "little")
        at += width
    return length + 1, at
