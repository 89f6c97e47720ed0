import numpy as np
import pytest
from checksums import crc32c_by_definition

from weights.crc32c import crc32c, masked


def test_known_checksums() -> None:
    # RFC 3720, appendix B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    crc = 0x8A9136AA
    assert masked(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 80, 81, 1000, 4095, 4096, 9999])
def test_pieces_join(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == crc32c_by_definition(data)
    assert crc32c(np.frombuffer(data, np.uint8)) == crc32c_by_definition(data)
