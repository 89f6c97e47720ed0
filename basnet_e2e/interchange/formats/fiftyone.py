"""A folder that FiftyOne imports as a temporal detection data set."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.json_text import json_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.plain import in_time
from basnet_e2e.intervals import Localization

DATA = "data"


def write(results: Sequence[Localization], media: Media | None = None) -> str:
    """``labels.json``: classes, and the intervals of each video in seconds.

    FiftyOne finds a video as ``data/<key>.<suffix>``, so the keys are the ids.
    """
    labels = {
        result.video: [
            {
                "label": found.label,
                "timestamps": [found.start, found.end],
                "confidence": found.score,
                "attributes": {},
            }
            for found in in_time(result)
        ]
        for result in results
    }
    classes = dict.fromkeys(item["label"] for items in labels.values() for item in items)
    return json_text({"classes": list(classes), "labels": labels})


def place_videos(folder: Path, media: Media) -> None:
    """Link the videos into ``data/``, or copy them where the system has no links.

    Raises:
        BasnetError: another file stands in the place of a link.
    """
    for video, path in media.files.items():
        target = folder / DATA / f"{video}{path.suffix}"
        if folder.resolve() not in target.resolve().parents and not target.is_symlink():
            raise BasnetError(f"'{video}' is no name inside {folder / DATA}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        elif target.exists():
            if target.samefile(path):
                continue
            raise BasnetError(f"{target}: another file stands there; choose an empty folder")
        try:
            os.symlink(path.resolve(), target)
        except OSError:
            shutil.copyfile(path, target)
