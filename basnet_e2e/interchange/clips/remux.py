"""Containers written by PyAV, with streams copied from a source."""

import logging
from collections.abc import Sequence
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.stream import Stream

from basnet_e2e.errors import BasnetError

log = logging.getLogger(__name__)
KEPT = ("video", "audio", "subtitle")


def copy_streams(
    read: InputContainer,
    written: OutputContainer,
    output: Path,
    without: Sequence[Stream] = (),
) -> dict[Stream, Stream]:
    """Create the streams of a copy without encoding: stream read -> stream written.

    Streams that the container cannot hold are dropped with a warning, data streams silently.

    Args:
        read: the source.
        written: the copy.
        output: its name, for messages.
        without: streams of the source to drop.

    Raises:
        BasnetError: the container cannot hold the video.
    """
    streams: dict[Stream, Stream] = {}
    for stream in read.streams:
        if stream.type not in KEPT or stream in without:
            continue
        name = stream.codec_context.name if stream.codec_context else "unknown"
        if stream.codec_context and stream.codec.canonical_name in written.supported_codecs:
            streams[stream] = written.add_stream_from_template(stream)
        elif stream.type == "video":
            raise BasnetError(f"{output}: a file of this kind cannot hold {name} video; try .mkv")
        else:
            log.warning("%s cannot hold %s (%s), dropped", output, name, stream.type)
    return streams
