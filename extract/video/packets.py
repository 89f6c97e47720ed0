"""The header and the packets of a stream, without decoding any."""

import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from extract.video.bitstream import parameter_test, picture_test
from extract.video.heartbeat import beat
from extract.video.pyav_decoder import DamageError, container_start, reason_of


@dataclass
class TickList:
    """Timestamps and durations in ticks, in the order of packets or of decoded frames."""

    ticks: list[int | None] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    damage: DamageError | None = None

    def add(self, tick: int | None, duration: int | None) -> None:
        """Append a packet or a frame; either number may be None."""
        self.ticks.append(tick)
        self.durations.append(duration or 0)

    @property
    def known(self) -> list[int]:
        """The timestamps that are known."""
        return [tick for tick in self.ticks if tick is not None]

    @property
    def ascending(self) -> bool:
        """Whether each known timestamp is above the previous one."""
        return all(a < b for a, b in itertools.pairwise(self.known))


@dataclass(frozen=True)
class Header:
    """What the container states about the file and the chosen stream.

    Attributes:
        codec: FFmpeg's name of the decoder.
        format: FFmpeg's name of the container.
        time_base: seconds per tick.
        start: of the container's first stream, in seconds; None for a raw stream without a clock.
        rate: frames per second, None if unknown.
        frames: number of frames, 0 if unknown.
        seconds: duration, 0 if unknown.
    """

    codec: str
    format: str
    time_base: Fraction
    start: Fraction | None
    rate: Fraction | None
    frames: int
    seconds: Fraction


@dataclass(frozen=True)
class Packets:
    """The packets of a stream that may hold a picture.

    Attributes:
        shown: those whose frames are shown.
        keys: times of the key frames among them.
        hidden: number of the others.
        decoding: known decoding times of those that are shown.
        changes: whether one has parameters that the header lacks, such as another picture size.
    """

    shown: TickList
    keys: list[int]
    hidden: int
    decoding: list[int]
    changes: bool


def read_header(container: InputContainer, stream: VideoStream) -> Header:
    """What the container states."""
    start = container_start(container, stream)
    # FFmpeg's average rate is 25 for every raw stream; its guess respects the codec.
    rate = stream.guessed_rate if start is None else stream.average_rate or stream.guessed_rate
    assert stream.time_base is not None
    return Header(
        codec=stream.codec_context.name,
        format=container.format.name,
        time_base=stream.time_base,
        start=start,
        rate=Fraction(rate) if rate else None,
        frames=stream.frames,
        seconds=Fraction(container.duration or 0, av.time_base),
    )


def read_packets(container: InputContainer, stream: VideoStream) -> Packets:
    """Read the packets of a stream that may hold a picture, without decoding any."""
    shown, keys, hidden, decoding, changes = TickList(), [], 0, [], False
    may_hold_picture, has_new_parameters = picture_test(stream), parameter_test(stream)
    try:
        for packet in container.demux(stream):
            beat()
            if not may_hold_picture(packet):
                continue
            if packet.is_discard:
                hidden += 1
                continue
            shown.add(packet.pts, packet.duration)
            if packet.dts is not None:
                decoding.append(packet.dts)
            if packet.is_keyframe:
                changes |= has_new_parameters(packet)
                if packet.pts is not None:
                    keys.append(packet.pts)
    except (av.error.FFmpegError, EOFError) as error:
        shown.damage = DamageError(None, reason_of(error))
    return Packets(shown, keys, hidden, decoding, changes)
