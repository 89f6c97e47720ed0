"""What a safetensors file says of itself, read without its tensors or numpy."""

from msgspec import Struct

from weights.json_documents import JsonError, decode_json

LENGTH = 8  # bytes that state the header's length
LARGEST = 100 << 20  # bytes of a header, the format's own limit


class _Header(Struct, rename={"metadata": "__metadata__"}):
    metadata: dict[str, str] = {}


def header_length(start: bytes) -> int:
    """Length of the header in bytes, by the first eight of the file.

    Raises:
        JsonError: no header has that length, so the file is of another kind.
    """
    length = int.from_bytes(start[:LENGTH], "little")
    if not 2 <= length <= LARGEST:
        raise JsonError("it does not begin with the header of a safetensors file")
    return length


def header_metadata(start: bytes) -> dict[str, str]:
    """Metadata of the file, by its first bytes, which hold all of the header.

    Raises:
        JsonError: they do not begin a safetensors file.
    """
    return decode_json(start[LENGTH : LENGTH + header_length(start)], _Header).metadata
