"""Intervals as SubRip subtitles, which players show over the video."""

from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.intervals import Localization

# SubRip cannot escape what players take for tags ("<i>", "{\an8}"): look-alikes replace them.
LOOK_ALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")", "\\": "/"})


def write(result: Localization, media: Media) -> str:
    """Cues of one video in the order of their time."""
    cues = [
        f"{number}\n{clock(cue.start)} --> {clock(cue.end)}\n"
        f"{one_line(cue.label).translate(LOOK_ALIKES)} {cue.score:.2f}\n"
        for number, cue in enumerate(in_time(result), start=1)
    ]
    return "\n".join(cues)


def clock(seconds: float, point: str = ",") -> str:
    """Seconds as ``HH:MM:SS,mmm``, with another sign for the comma if given."""
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
