import pytest

from weights.snappy import decompress

# What Snappy's own library makes of this text.
TEXT = b"RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/b "
TEXT += bytes(90)
COMPRESSED = bytes.fromhex(
    "ae01a85247422f696e63657074696f6e5f6933642f436f6e7633645f31615f3778372f636f6e765f33642f7720529a"
    "2a0008622000fe0100620100"
)


def test_what_the_library_wrote() -> None:
    assert decompress(COMPRESSED) == TEXT


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00", b""),
        (b"\x01\x00a", b"a"),
        (b"\x06\x08abc\x0a\x03\x00", b"abcabc"),  # a copy of 3, two bytes of distance
        (b"\x08\x00a\x0d\x01", b"aaaaaaaa"),  # a copy of 7 into itself, one byte of distance
        (b"\x04\x04ab\x07\x02\x00\x00\x00", b"abab"),  # four bytes of distance
        (b"\x3d\xf0\x3c" + b"x" * 61, b"x" * 61),  # a literal whose length stands in a byte
    ],
)
def test_every_kind_of_element(data: bytes, expected: bytes) -> None:
    assert decompress(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\x00a",  # too short
        b"\x01\x04ab",  # too long
        b"\x04\x00a\x0a\x02\x00",  # a copy from before the beginning
        b"\x04\x00a\x0a\x00\x00",  # a copy of itself
        b"\xff\xff\xff\xff\xff\x01",
        b"\x81\x80\x80\x20\x00a",  # LIMIT + 1 bytes
    ],
)
def test_damage_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"compressed block|copy from"):
        decompress(data)
