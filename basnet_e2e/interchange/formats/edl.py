"""Intervals as a cut list (CMX 3600): every action of a video, one after the other."""

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.formats.otio import clip, library
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import frames_of, in_time, one_line
from basnet_e2e.intervals import Localization

ADAPTER = "cmx_3600"


def write(result: Localization, media: Media) -> str:
    """The cut list of one video; the format has one track, so actions follow each other in it.

    Raises:
        BasnetError: OpenTimelineIO or its adapter is not installed, or the frame rate is not known
            or has no timecodes.
    """
    otio = library()
    if ADAPTER not in otio.adapters.available_adapter_names():
        raise BasnetError("edl needs otio-cmx3600-adapter: pip install 'basnet-e2e[edit]'")
    rate = media.rate(result)
    if not otio.opentime.RationalTime.is_smpte_timecode_rate(float(rate)):
        raise BasnetError(
            f"an edl counts in timecodes, which {float(rate):.6g} frames per second do not have; "
            "choose a rate with --fps: 23.976, 24, 25, 29.97, 30, 50, 59.94 or 60"
        )
    track = otio.schema.Track(name="actions", kind=otio.schema.TrackKind.Video)
    for found in in_time(result):
        track.append(clip(result, found, media, *frames_of(found, rate), rate))
    name = one_line(result.video)
    if not len(track):
        return f"TITLE: {name}\n"  # the adapter stumbles over a track without clips
    timeline = otio.schema.Timeline(name=name)
    timeline.tracks.append(track)
    text: str = otio.adapters.write_to_string(timeline, ADAPTER, rate=float(rate))
    return text.rstrip("\n") + "\n"
