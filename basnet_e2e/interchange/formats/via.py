"""Intervals as a project of VIA 3, the annotation tool that is a web page."""

from collections.abc import Sequence
from typing import Any

from basnet_e2e.interchange.json_text import json_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.plain import in_time
from basnet_e2e.intervals import Localization

ATTRIBUTE = "1"
SEGMENT = "FILE1_Z2_XY0"  # VIA's name for a stretch of time in one file
SELECT, VIDEO = 4, 4
CHOSEN, BY_PATH = 1, 3  # where a file comes from


def write(results: Sequence[Localization], media: Media | None = None) -> str:
    """One project with a file and a view for each video."""
    media = media or Media()
    numbers = {result.video: str(number) for number, result in enumerate(results, start=1)}
    found = {result.video: in_time(result) for result in results}
    options = dict.fromkeys(
        name
        for result in results
        for name in [*(one.label for one in found[result.video]), *result.classes]
    )
    return json_text(
        {
            "project": {
                # VIA fills these in when the project is first shared.
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": "actions",
                "creator": "basnet-e2e",
                "created": 0,
                "data_format_version": "3.1.1",
                "vid_list": list(numbers.values()),
            },
            "config": _config(),
            "attribute": {
                ATTRIBUTE: {
                    "aname": "action",
                    "anchor_id": SEGMENT,
                    "type": SELECT,
                    "desc": "What happens here",
                    "options": {name: name for name in options},
                    "default_option_id": "",
                }
            },
            "file": {
                numbers[result.video]: {
                    "fid": numbers[result.video],
                    "fname": media.name(result),
                    "type": VIDEO,
                    # A path is loaded at once; otherwise VIA asks for the file.
                    "loc": BY_PATH if result.video in media.files else CHOSEN,
                    "src": media.link(result) if result.video in media.files else "",
                }
                for result in results
            },
            "metadata": {
                f"{numbers[video]}_{index:08d}": {
                    "vid": numbers[video],
                    "flg": 0,
                    "z": [one.start, one.end],
                    "xy": [],
                    "av": {ATTRIBUTE: one.label},
                }
                for video, intervals in found.items()
                for index, one in enumerate(intervals)
            },
            "view": {number: {"fid_list": [number]} for number in numbers.values()},
        }
    )


def _config() -> dict[str, Any]:
    return {
        "file": {"loc_prefix": {str(place): "" for place in range(1, 5)}},
        "ui": {
            "file_content_align": "center",
            "file_metadata_editor_visible": True,
            "spatial_metadata_editor_visible": False,
            "temporal_segment_metadata_editor_visible": True,
            "spatial_region_label_attribute_id": "",
            "gtimeline_visible_row_count": "4",
        },
    }
