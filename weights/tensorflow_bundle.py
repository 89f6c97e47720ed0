"""Read a TensorFlow checkpoint (V2, a "tensor bundle") without TensorFlow.

``PREFIX.index`` is a sorted table in LevelDB's format, from a tensor's name to a protocol buffer
with its type, shape, file and offset; ``PREFIX.data-00000-of-00001`` holds the raw values. Formats:
tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/tensor_bundle.proto and LevelDB's
doc/table_format.md.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weights.errors import WeightsError

INDEX = ".index"
DATA = ".data-00000-of-00001"
FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
UNCOMPRESSED = 0
TRAILER_BYTES = 5  # compression type and checksum behind each block
CRC_MASK = 0xA282EAD8
CRC32C_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed

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


def bundle_prefix(path: Path) -> Path | None:
    """The checkpoint's prefix if ``path`` is it, its index or its data file; else None."""
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
        entries = dict(_table(index.read_bytes()))
        values = np.memmap(data, np.uint8, "r")
        parsed = {name.decode(): _entry(value) for name, value in entries.items() if name}
        return {
            name: _tensor(entry, values) for name, entry in parsed.items() if entry.dtype != STRING
        }
    except (_Damaged, IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise WeightsError(f"{index}: not a readable TensorFlow checkpoint ({error})") from error


def _tensor(entry: _Entry, values: np.ndarray) -> np.ndarray:
    dtype = DTYPES.get(entry.dtype)
    if dtype is None or entry.shard != 0:
        raise _Damaged(f"a tensor of type {entry.dtype} in part {entry.shard}")
    raw = values[entry.offset : entry.offset + entry.size]
    if len(raw) != entry.size or entry.size != dtype.itemsize * int(np.prod(entry.shape)):
        raise _Damaged("the data file is too short for its index")
    return raw.view(dtype).reshape(entry.shape).copy()


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
    block = whole[:size]
    if whole[size] != UNCOMPRESSED:
        raise _Damaged("a compressed table, which TensorFlow does not write")
    if masked_crc32c(whole[: size + 1]) != struct.unpack("<I", whole[size + 1 :])[0]:
        raise _Damaged("a block's checksum is wrong")
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


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (CRC32C_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """LevelDB's checksum of a block: CRC-32C, rotated and shifted by a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + CRC_MASK) & 0xFFFFFFFF
