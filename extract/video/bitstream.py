"""Which packets of a coded stream hold no picture.

Files also hold empty packets, and packets of parameters, delimiters or messages (SEI) alone. Some
decoders of FFmpeg call these invalid although nothing is wrong.
"""

from collections.abc import Callable, Iterator

from av.packet import Packet
from av.video.stream import VideoStream

START_CODE = b"\x00\x00\x01"
# What begins a picture in the codecs of MPEG that have no NAL units.
PICTURE_STARTS = {
    "mpeg1video": START_CODE + b"\x00",
    "mpeg2video": START_CODE + b"\x00",
    "mpeg4": START_CODE + b"\xb6",
}
# Types of NAL units that are no part of a picture: messages, parameters, delimiters, filler.
OTHER_UNITS = {"h264": range(6, 14), "hevc": range(32, 41)}
DAMAGED = 0  # stands for the header of a unit that reaches past its packet: a picture's in H.264


def picture_test(stream: VideoStream) -> Callable[[Packet], bool]:
    """A function that says whether a packet of the stream may hold a picture.

    It says no only of packets that certainly hold none; damaged data may be anything.
    """
    codec = stream.codec_context.name
    if codec in PICTURE_STARTS:
        start = PICTURE_STARTS[codec]
        return lambda packet: _found(start, bytes(packet))
    if codec in OTHER_UNITS:
        length_size = _length_size(codec, bytes(stream.codec_context.extradata or b""))
        others, shift = OTHER_UNITS[codec], 1 if codec == "hevc" else 0
        return lambda packet: any(
            header >> shift & (63 if shift else 31) not in others
            for header in _unit_headers(bytes(packet), length_size)
        )
    return lambda packet: bool(packet.size)


def _found(start: bytes, data: bytes) -> bool:
    return bool(data) and (start in data or not data.startswith(START_CODE))


def _length_size(codec: str, configuration: bytes) -> int:
    """Bytes of the length before each NAL unit; 0 where start codes part them (ISO/IEC 14496-15)."""
    place = 4 if codec == "h264" else 21
    if len(configuration) <= place or configuration[0] != 1:
        return 0
    return 1 + (configuration[place] & 3)


def _unit_headers(data: bytes, length_size: int) -> Iterator[int]:
    """The first byte of each NAL unit."""
    if not length_size or data.startswith(b"\x00" + START_CODE):
        place = data.find(START_CODE)
        while place >= 0:
            yield data[place + 3] if place + 3 < len(data) else DAMAGED
            place = data.find(START_CODE, place + 3)
        return
    place = 0
    while place < len(data):
        begin = place + length_size
        place = begin + int.from_bytes(data[place:begin])
        yield data[begin] if begin < place <= len(data) else DAMAGED
