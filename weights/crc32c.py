"""CRC-32C, the checksum of LevelDB's tables and of the tensors in a TensorFlow checkpoint.

Without a compiler a loop over 50 MB of bytes takes a minute. The checksum is linear over bits, so
the bytes are cut into pieces of equal length that numpy runs side by side, and joined afterwards.
"""

import functools

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
ONES = 0xFFFFFFFF
MASK = 0xA282EAD8  # LevelDB's constant, see `masked`
SHORT = 64  # bytes below which pieces are not worth making


@functools.cache
def _table() -> NDArray[np.uint32]:
    """What eight steps of the register make of its lowest byte."""
    register: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        register = np.bitwise_xor(register >> 1, (register & 1) * np.uint32(POLYNOMIAL))
    return register


def _run(pieces: NDArray[np.uint8], registers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Registers ``[P]`` after the bytes of their pieces ``[length, P]``."""
    table = _table()
    for row in pieces:
        registers = table[(registers ^ row) & 0xFF] ^ (registers >> 8)
    return registers


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """The checksum of some bytes."""
    raw = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    length = 1 if len(raw) < SHORT else int(np.sqrt(len(raw)))
    head = len(raw) % length if len(raw) >= SHORT else len(raw)
    # The bytes before the first whole piece go through one register, which then joins the pieces.
    register = int(_run(raw[:head, None], np.array([ONES], np.uint32))[0])
    if head < len(raw):
        columns = np.ascontiguousarray(raw[head:].reshape(-1, length).T)
        basis = np.uint32(1) << np.arange(32, dtype=np.uint32)
        nothing = np.zeros((length, 32), np.uint8)
        # What a piece's length of zero bytes makes of each bit of the register before it.
        carried = [int(value) for value in _run(nothing, basis)]
        for value in _run(columns, np.zeros(columns.shape[1], np.uint32)):
            register = _carry(register, carried) ^ int(value)
    return register ^ ONES


def _carry(register: int, carried: list[int]) -> int:
    found = bit = 0
    while register:
        if register & 1:
            found ^= carried[bit]
        register >>= 1
        bit += 1
    return found


def masked(data: bytes | NDArray[np.uint8]) -> int:
    """The checksum as LevelDB and TensorFlow store it: rotated and shifted by a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK) & ONES
