"""Addresses of videos in the data of annotation tools."""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from extract.sources.find import VIDEO_SUFFIXES

# Templates from before there was a tag for videos hold HTML.
HTML_SOURCE = re.compile(r"""<(?:video|embed|iframe|source)\b[^>]*?\bsrc=["']?([^"'\s>]+)""", re.I)


def path_in(address: str) -> str:
    """Path of an address, which HTML may hold; local files are served as ``...?d=PATH``.

    >>> path_in("https://host/set/a.mp4?token=1"), path_in("/data/local-files/?d=set/b.mp4")
    ('/set/a.mp4', 'set/b.mp4')
    """
    inside = HTML_SOURCE.search(address)
    try:
        parts = urlsplit(inside[1] if inside else address)
    except ValueError:
        return ""
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def is_video(address: str) -> bool:
    """Whether an address names a video by its suffix, or by its tag in HTML."""
    suffix = Path(path_in(address)).suffix.lower()
    return suffix in VIDEO_SUFFIXES or HTML_SOURCE.search(address) is not None
