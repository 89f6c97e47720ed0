"""Read a TensorFlow checkpoint (V2, a "tensor bundle") without TensorFlow.

``PREFIX.index`` is a sorted table in LevelDB's format, from a tensor's name to a protocol buffer
with its type, shape, file and offset; ``PREFIX.data-00000-of-00001`` holds the raw values. Formats:
tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/tensor_bundle.proto and LevelDB's
doc/table_format.md. Every checksum of the format is checked: those of the index's blocks and those
of the tensors.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weights import crc32c, snappy
from weights.errors import WeightsError

INDEX = ".index"
DATA = ".data-00000-of-00001"
FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
UNCOMPRESSED, SNAPPY = 0, 1
TRAILER_BYTES = 5  # compression type and checksum behind each block
MAX_INDEX = 64 << 20  # bytes; that of I3D has some kilobytes
HEADER_KEY = b""  # BundleHeaderProto, before all tensors
BIG_ENDIAN = 1

# tensorflow/core/framework/types.proto; of these networks only floats and step counters.
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
}
STRING = 7  # a description of the graph, in checkpoints of TensorFlow 2

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class _Damaged(Exception):
    pass


@dataclass
class _Entry:
    """BundleEntryProto."""

    dtype: int = 0
    shape: list[int] = field(default_factory=list)
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0


def bundle_prefix(path: Path) -> Path | None:
    """The checkpoint's prefix if ``path`` is it, its index, its data file or its folder; else None.

    Raises:
        WeightsError: it is a folder without a checkpoint, or with several.
    """
    if path.is_dir():
        found = sorted(path.glob(f"*{INDEX}"))
        if len(found) != 1:
            raise WeightsError(
                f"{path}: a folder with {len(found)} TensorFlow checkpoints; name the file"
            )
        path = found[0]
    for suffix in (INDEX, DATA):
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix))
    return path if path.with_name(path.name + INDEX).is_file() else None


def data_file(prefix: Path) -> Path:
    """The file with the values of a checkpoint."""
    return prefix.with_name(prefix.name + DATA)


def read_bundle(prefix: Path) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint.

    Raises:
        WeightsError: a file is missing or damaged, or the checkpoint has several data files.
    """
    index = prefix.with_name(prefix.name + INDEX)
    data = data_file(prefix)
    for path in (index, data):
        if not path.is_file():
            raise WeightsError(f"{path} is missing; a TensorFlow checkpoint needs both files")
    try:
        if index.stat().st_size > MAX_INDEX:
            raise _Damaged(f"an index of {index.stat().st_size} bytes")
        entries = dict(_table(index.read_bytes()))
        _check_header(entries.pop(HEADER_KEY, b""))
        values = np.memmap(data, np.uint8, "r")
        parsed = {name.decode(): _entry(value) for name, value in entries.items()}
        return {
            name: _tensor(name, entry, values)
            for name, entry in parsed.items()
            if entry.dtype != STRING
        }
    except (_Damaged, IndexError, OverflowError, struct.error, ValueError) as error:
        raise WeightsError(f"{index}: not a readable TensorFlow checkpoint ({error})") from error


def _check_header(message: bytes) -> None:
    fields = dict(_fields(message))
    if fields.get(1, 1) != 1:
        raise _Damaged(f"it has {fields[1]!r} data files, only one is read")
    if fields.get(2) == BIG_ENDIAN:
        raise _Damaged("its numbers are big endian")


def _tensor(name: str, entry: _Entry, values: np.ndarray) -> np.ndarray:
    dtype = DTYPES.get(entry.dtype)
    if dtype is None or entry.shard != 0:
        raise _Damaged(f"a tensor of type {entry.dtype} in part {entry.shard}")
    raw = values[entry.offset : entry.offset + entry.size]
    if len(raw) != entry.size or entry.size != dtype.itemsize * math.prod(entry.shape):
        raise _Damaged("the data file is too short for its index")
    if crc32c.masked(raw) != entry.crc:
        raise _Damaged(f"the checksum of {name} is wrong")
    return np.asarray(raw).view(dtype).reshape(entry.shape).copy()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise _Damaged("a number is too long")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == BYTES:
            length, at = _varint(message, at)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise _Damaged(f"an unknown field type {wire}")
        if at + length > len(message):
            raise _Damaged("a field is cut")
        yield number, message[at : at + length]
        at += length


def _entry(message: bytes) -> _Entry:
    entry = _Entry()
    for number, value in _fields(message):
        if number == 2 and isinstance(value, bytes):
            for inner, dimension in _fields(value):
                if inner == 2 and isinstance(dimension, bytes):
                    sizes = [size for key, size in _fields(dimension) if key == 1]
                    entry.shape.append(int(sizes[0]) if sizes else 0)
        elif number == 6 and isinstance(value, bytes):
            entry.crc = int.from_bytes(value, "little")
        elif isinstance(value, int):
            name = {1: "dtype", 3: "shard", 4: "offset", 5: "size"}.get(number)
            if name:
                setattr(entry, name, value)
        elif number == 7:
            raise _Damaged("a partitioned tensor")
    return entry


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table."""
    if len(data) < FOOTER_BYTES or struct.unpack("<Q", data[-8:])[0] != MAGIC:
        raise _Damaged("no table footer")
    footer = data[-FOOTER_BYTES:]
    _, at = _varint(footer, 0)  # the handle of the meta index, unused
    _, at = _varint(footer, at)
    for _, handle in _block(data, *_handle(footer, at)):
        yield from _block(data, *_handle(handle, 0))


def _handle(data: bytes, at: int) -> tuple[int, int]:
    offset, at = _varint(data, at)
    size, _ = _varint(data, at)
    return offset, size


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of one block, whose keys leave out what they share with the key before."""
    whole = data[offset : offset + size + TRAILER_BYTES]
    if len(whole) != size + TRAILER_BYTES:
        raise _Damaged("a block is cut")
    block, kind = whole[:size], whole[size]
    if crc32c.masked(whole[: size + 1]) != struct.unpack("<I", whole[size + 1 :])[0]:
        raise _Damaged("a block's checksum is wrong")
    if kind == SNAPPY:
        block = snappy.decompress(block)
    elif kind != UNCOMPRESSED:
        raise _Damaged(f"a block of compression {kind}")
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 * (restarts + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length
