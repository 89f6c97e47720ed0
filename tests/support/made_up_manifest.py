"""A manifest of two streams that tests put in the place of the real one."""

import json
from pathlib import Path
from typing import Any

from weights.files import git_blob_id

ENTRY = """
[[network]]
name = "i3d"
stream = "{stream}"
title = "made up"
trained_on = "nothing"
licence = "MIT"
architecture = "i3d"
channels = {channels}
classes = 400
class_names = "kinetics400.txt"
preprocessing = "none"
metric = "none"
"""


def lines(source: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in source.items())


def url_source(address: str, path: Path) -> dict[str, Any]:
    return {
        "origin": "web",
        "kind": "url",
        "url": f"{address}/{path.name}",
        "file": path.name,
        "size": path.stat().st_size,
        "git_blob": git_blob_id(path),
    }


def left_in(folder: Path) -> list[str]:
    """Files in the cache other than locks."""
    names = [p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"]
    return sorted(names)
