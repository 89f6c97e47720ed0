"""Intervals as an OpenTimelineIO timeline for editing programs: a track per class."""

from fractions import Fraction
from typing import Any
from urllib.parse import quote

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import by_class, frames_of, one_line
from basnet_e2e.intervals import Interval, Localization


def write(result: Localization, media: Media) -> str:
    """The timeline of one video: clips are at their time in the video.

    Raises:
        BasnetError: OpenTimelineIO is not installed, or the frame rate is not known.
    """
    otio = library()
    rate = media.rate(result)
    timeline = otio.schema.Timeline(name=one_line(result.video))
    for name, intervals in by_class(result).items():
        track = otio.schema.Track(name=name, kind=otio.schema.TrackKind.Video)
        timeline.tracks.append(track)
        here = 0
        for found in intervals:
            first, last = frames_of(found, rate, here)
            if first > here:
                track.append(otio.schema.Gap(source_range=span(0, first - here, rate)))
            track.append(clip(result, found, media, first, last, rate))
            here = last
    return otio.adapters.write_to_string(timeline, "otio_json") + "\n"


def library() -> Any:
    """The OpenTimelineIO package.

    Raises:
        BasnetError: it is not installed.
    """
    try:
        import opentimelineio
    except ImportError as error:
        raise BasnetError(
            "otio and edl need OpenTimelineIO: pip install 'basnet-e2e[edit]'"
        ) from error
    return opentimelineio


def span(first: int, count: int, rate: Fraction) -> Any:
    """Frames of the source as OpenTimelineIO counts them."""
    time = library().opentime
    return time.TimeRange(
        time.RationalTime(first, float(rate)), time.RationalTime(count, float(rate))
    )


def clip(
    result: Localization, found: Interval, media: Media, first: int, last: int, rate: Fraction
) -> Any:
    """The part of the video that an interval is."""
    otio = library()
    whole = span(0, max(round(result.duration * rate), last), rate)
    link = media.link(result)
    return otio.schema.Clip(
        name=one_line(found.label),
        media_reference=otio.schema.ExternalReference(
            target_url=link if media.prefix else quote(link), available_range=whole
        ),
        source_range=span(first, last - first, rate),
        metadata={
            "basnet": {
                "label": found.label,
                "score": found.score,
                "start": found.start,
                "end": found.end,
            }
        },
    )
