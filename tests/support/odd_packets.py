"""Video files with packets that hold no picture, for tests."""

import struct
from pathlib import Path

import av

# Messages (SEI) and access unit delimiters, as NAL units.
UNITS = {
    ("h264", "sei"): b"\x06\x05\x11" + bytes(range(1, 18)) + b"\x80",
    ("h264", "delimiter"): b"\x09\xf0",
    ("hevc", "sei"): b"\x4e\x01\x05\x11" + bytes(range(1, 18)) + b"\x80",
    ("hevc", "delimiter"): b"\x46\x01\x50",
}
START_CODED = (".ts", ".avi", ".h264", ".hevc")


def insert_units(source: Path, target: Path, after: list[int], unit: bytes) -> None:
    """Copy a video and put a packet of nothing but a NAL unit after some of its packets.

    Args:
        source: a file of one stream without frames out of order.
        target: the copy.
        after: numbers of packets.
        unit: the unit, without what parts it from others.
    """
    mark = b"\x00\x00\x00\x01" if target.suffix in START_CODED else struct.pack(">I", len(unit))
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        packets = [packet for packet in read.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            step, time, base = packet.duration or 1, packet.dts, packet.time_base
            packet.stream = copy
            written.mux(packet)
            if number in after:
                extra = av.Packet(mark + unit)
                extra.stream, extra.time_base = copy, base
                extra.pts = extra.dts = time + step // 2
                written.mux(extra)


# What ``empty_packets`` finds and removes; in each container an element of its own of no content.
FILLER = {
    ".mp4": b"\x00",
    ".mov": b"\x00",
    ".mkv": b"\xec\x80",
    ".avi": b"JUNK" + bytes(4),
    ".nut": b"",
}


def empty_packets(path: Path, numbers: list[int]) -> None:
    """Make packets of a file empty whose content ``FILLER`` was written instead of.

    In mp4 and mov the byte goes to the packet before, whose decoder must not mind it.
    """
    data = bytearray(path.read_bytes())
    filler = FILLER[path.suffix]
    if path.suffix in (".mp4", ".mov"):
        sizes = data.index(b"stsz") + 16
        for number in numbers:
            place = sizes + 4 * number
            before, own = struct.unpack_from(">II", data, place - 4)
            assert own == len(filler)
            struct.pack_into(">II", data, place - 4, before + own, 0)
    elif path.suffix == ".mkv":
        block, place = b"\xa3\x86\x81", 0
        for _ in numbers:
            place = data.index(block, place)
            assert data[place + 6 : place + 8] == filler
            data[place + 1] = 0x84
            place += 1
    elif path.suffix == ".avi":
        place = 0
        for _ in numbers:
            place = data.index(struct.pack("<I", 8) + filler, place)
            struct.pack_into("<I", data, place, 0)
        index = data.index(b"idx1") + 8
        for number in numbers:
            struct.pack_into("<I", data, index + 16 * number + 12, 0)
    path.write_bytes(data)
