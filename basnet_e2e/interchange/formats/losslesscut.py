"""Intervals as a project of LosslessCut (.llc), which cuts videos without encoding them again."""

from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import in_time, one_line
from basnet_e2e.intervals import Localization


def write(result: Localization, media: Media) -> str:
    """The segments of one video in the order of their time. JSON is JSON5 too."""
    return json_text(
        {
            "version": 1,
            # LosslessCut looks for this name in the folder of the project.
            "mediaFileName": media.name(result).rsplit("/", 1)[-1],
            "cutSegments": [
                {"start": one.start, "end": one.end, "name": one_line(one.label)}
                for one in in_time(result)
            ],
        }
    )
