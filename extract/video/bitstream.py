"""Whether a coded packet holds a picture, without decoding it.

Files also contain empty packets, and packets that have only parameters, delimiters or messages
(SEI). Some of FFmpeg's decoders call these invalid, although nothing is wrong.
"""

from collections.abc import Callable, Iterator

from av.packet import Packet
from av.video.stream import VideoStream

START_CODE = b"\x00\x00\x01"
# How pictures begin in MPEG codecs without NAL units.
PICTURE_STARTS = {
    "mpeg1video": START_CODE + b"\x00",
    "mpeg2video": START_CODE + b"\x00",
    "mpeg4": START_CODE + b"\xb6",
}
# Types of NAL units without a part of a picture: messages, parameters, delimiters, filler.
H264_OTHERS, HEVC_OTHERS = range(6, 14), range(32, 41)
H264_SEQUENCE = 7
DAMAGED = memoryview(b"\x00")  # for a unit that is cut off; its type is not among these


def picture_test(stream: VideoStream) -> Callable[[Packet], bool]:
    """Return a function: whether a packet may hold a picture; damaged data may be anything."""
    codec = stream.codec_context.name
    start, length_size = PICTURE_STARTS.get(codec), _length_size(stream)

    def test(packet: Packet) -> bool:
        if start and packet.size:
            data = bytes(packet)
            return start in data or not data.startswith(START_CODE)
        if codec == "h264":
            return any(unit[0] & 31 not in H264_OTHERS for unit in _units(packet, length_size))
        if codec == "hevc":
            return any(unit[0] >> 1 not in HEVC_OTHERS for unit in _units(packet, length_size))
        return bool(packet.size)

    return test


def parameter_test(stream: VideoStream) -> Callable[[Packet], bool]:
    """Return a function: whether a packet has parameters that the header lacks."""
    header, length_size = _header(stream), _length_size(stream)

    def test(packet: Packet) -> bool:
        return packet.has_sidedata("new_extradata") or (
            stream.codec_context.name == "h264"
            and any(
                unit[0] & 31 == H264_SEQUENCE and bytes(unit).rstrip(b"\x00") not in header
                for unit in _units(packet, length_size)
            )
        )

    return test


def _header(stream: VideoStream) -> bytes:
    return bytes(stream.codec_context.extradata or b"")


def _length_size(stream: VideoStream) -> int:
    """Bytes of the length that precedes each NAL unit; 0 if start codes do."""
    place = 21 if stream.codec_context.name == "hevc" else 4
    header = _header(stream)
    return 1 + (header[place] & 3) if len(header) > place and header[0] == 1 else 0


def _units(packet: Packet, length_size: int) -> Iterator[memoryview]:
    """The NAL units of a packet."""
    data = bytes(packet)
    view, place = memoryview(data), 0
    if length_size and not data.startswith(b"\x00" + START_CODE):
        while place < len(data):
            begin = place + length_size
            place = begin + int.from_bytes(data[place:begin])
            yield view[begin:place] if begin < place <= len(data) else DAMAGED
        return
    end = data.find(START_CODE)
    while end >= 0:
        begin = end + len(START_CODE)
        end = data.find(START_CODE, begin)
        yield view[begin:end] if end >= 0 else view[begin:] or DAMAGED
