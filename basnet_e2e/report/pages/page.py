"""The page of one video: player, timeline, table, and the result to correct."""

import base64
import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Interval
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.pages.rendering import render

STYLES = ("base.css", "page.css", "timeline.css", "table.css")
SCRIPTS = (
    "theme.js",
    "text.js",
    "state.js",
    "player.js",
    "view.js",
    "drawing.js",
    "lanes.js",
    "strips.js",
    "pointer.js",
    "keys.js",
    "table.js",
    "edit.js",
    "page.js",
)
EMBED_LIMIT = 300_000_000  # bytes; browsers refuse longer text in a page
OTHER_TYPES = {".mkv": "video/x-matroska", ".ts": "video/mp2t", ".m4v": "video/mp4"}


@dataclass(frozen=True)
class Report:
    """What is shown of one video.

    Attributes:
        document: the result as one JSON object, see ``Localization.to_json``; unknown fields are
            kept in what the page saves.
        evidence: curves and thumbnails.
        truth: annotated intervals; None where there is no ground truth for this video.
        video: the video file; None where it was not found.
    """

    document: dict[str, Any]
    evidence: Evidence
    truth: Sequence[Interval] | None = None
    video: Path | None = None

    @property
    def id(self) -> str:
        """Id of the video."""
        return str(self.document["video"])


def page_html(
    report: Report,
    path: Path,
    *,
    embed: bool = False,
    index: str | None = None,
    classes: Sequence[str] = (),
) -> str:
    """The page of a video.

    Args:
        report: what to show.
        path: the HTML file, to which addresses are relative.
        embed: put the video into the page instead of referring to it.
        index: address of the list of all videos, relative to the page.
        classes: of all pages that belong together, so that a class has one colour in all.

    Raises:
        BasnetError: the video is too large to embed, or is not there.
    """
    document = report.document
    embedded = _embedded(report) if embed else None
    data = {
        "document": document,
        "classes": list(classes),
        "lanes": lanes(report),
        "truth": None if report.truth is None else [_plain(each) for each in report.truth],
        "curves": curves_of(report.evidence),
        "thumbnails": thumbnails_of(report.evidence),
        "source": None if embed or report.video is None else relative_url(report.video, path),
        "type": None if report.video is None else media_type(report.video),
    }
    return render(
        "page.html",
        STYLES,
        SCRIPTS,
        title=document.get("file") or report.id,
        document=document,
        data=data,
        embedded=embedded,
        index=index,
        has_truth=report.truth is not None,
        has_curves=bool(report.evidence.cas.size),
        has_foreground=report.evidence.foreground is not None,
    )


def lanes(report: Report) -> list[str]:
    """Classes that have a lane: those with an interval, surest first, then those of truth alone."""
    scores = report.document.get("classes", {})
    found = dict.fromkeys(each["label"] for each in report.document["intervals"])
    ranked = sorted(found, key=lambda name: -float(scores.get(name, 0.0)))
    return list(dict.fromkeys([*ranked, *(each.label for each in report.truth or ())]))


def relative_url(target: Path, page: Path) -> str:
    """Address of a file as the page refers to it: relative where both are on one drive."""
    resolved = target.resolve()
    try:
        relative = os.path.relpath(resolved, page.resolve().parent)
    except ValueError:  # another drive of Windows
        return resolved.as_uri()
    # "./" keeps a name with a colon from being read as a scheme.
    return "./" + quote(os.fsencode(Path(relative).as_posix()))


def media_type(video: Path) -> str:
    """The media type that browsers are given."""
    guess = OTHER_TYPES.get(video.suffix.lower()) or mimetypes.guess_type(video.name)[0]
    return guess or "video/mp4"


def _embedded(report: Report) -> str:
    if report.video is None:
        raise BasnetError(
            f"{report.id}: the video to embed was not found; name its folder with --videos"
        )
    size = report.video.stat().st_size
    if size > EMBED_LIMIT:
        raise BasnetError(
            f"{report.video}: {size / 1e6:.0f} MB are too many to embed (at most "
            f"{EMBED_LIMIT / 1e6:.0f}); without --embed the page links to the video"
        )
    return _base64(report.video.read_bytes())


def thumbnails_of(evidence: Evidence) -> list[dict[str, Any]]:
    """Pictures as the page's scripts read them."""
    return [
        {"time": round(each.time, 3), "image": _base64(each.jpeg)} for each in evidence.thumbnails
    ]


def curves_of(evidence: Evidence) -> dict[str, Any] | None:
    """Curves as the page's scripts read them; None where there are none."""
    if not len(evidence.centres):
        return None
    foreground = evidence.foreground
    return {
        "centres": _base64(evidence.centres.astype("<f4").tobytes()),
        "classes": [
            {"label": name, "values": _base64(evidence.cas[:, column].tobytes())}
            for column, name in enumerate(evidence.classes)
        ],
        "foreground": None if foreground is None else _base64(foreground.tobytes()),
    }


def _plain(interval: Interval) -> dict[str, Any]:
    return {"label": interval.label, "start": interval.start, "end": interval.end}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
