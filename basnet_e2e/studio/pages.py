"""The studio's two pages: all videos, and one of them to label and correct."""

from typing import Any

from basnet_e2e.interchange.writers import WRITERS
from basnet_e2e.intervals import keep_best
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.pages.page import curves_of, media_type, thumbnails_of
from basnet_e2e.report.pages.rendering import filled
from basnet_e2e.studio.catalogue import Video
from basnet_e2e.studio.session import Session
from basnet_e2e.version import __version__

ROOMS = ("basnet_e2e.studio", "basnet_e2e.report.pages")


def list_page(session: Session) -> str:
    """The page of all videos; what it shows comes by ``/api/changes``."""
    formats = [(name, row.about) for name, row in WRITERS.items()]
    return filled(
        ROOMS,
        "list.html",
        generator=__version__,
        name=session.name,
        formats=[("json", "the result document of basnet"), *formats],
    )


def video_page(session: Session, video: Video) -> str:
    """The page of a video, with everything known about it."""
    content = session.project.content
    annotation = content.of(video.id)
    pictures = session.previews.evidence(video)
    duration = session.duration(video)
    shown = found_by_model(session, video)
    duration = duration or (pictures.duration if pictures else None) or shown["duration"] or 0.0
    spans = annotation.spans or ()
    document: dict[str, Any] = {
        "video": video.id,
        "file": video.path.name,
        "duration": duration,
        "model": "" if shown["found"] is None else "studio",
        "classes": {},
        "intervals": [{"label": one.label, "start": one.start, "end": one.end} for one in spans],
    }
    curves = shown["curves"] or {}
    data = {
        "document": document,
        "classes": list(content.classes),
        "colours": dict(content.colours),
        "lanes": list(content.classes),
        "fixed": list(content.classes),
        "truth": None,
        "found": shown["found"] or [],
        "curves": shown["curves"],
        "thumbnails": thumbnails_of(pictures) if pictures else [],
        "source": f"/media/{video.key}",
        "type": media_type(video.path),
        "none": "No interval yet: drag over a lane, or hold a number key while the video plays.",
        "studio": {
            "key": video.key,
            "revision": ".".join(map(str, session.revisions())),
            "annotation": annotation.to_json(),
            "version": annotation.version,
            "held_out": video.id in content.held_out,
            "looked": shown["found"] is not None,
            "measured": bool(duration),
        },
    }
    return filled(
        ROOMS,
        "video.html",
        generator=__version__,
        title=video.path.name,
        document=document,
        data=data,
        index="/",
        has_truth=False,
        has_curves=bool(curves.get("classes")),
        has_foreground=curves.get("foreground") is not None,
        embedded=None,
        why=session.why(video.id),
        key=video.key,
    )


def found_by_model(session: Session, video: Video) -> dict[str, Any]:
    """What the model found: intervals (None if it has not looked yet), curves and duration."""
    result, evidence = session.result(video.id)
    if result is None:
        return {"found": None, "curves": None, "duration": 0.0}
    found = [
        {"label": each.label, "start": each.start, "end": each.end, "score": each.score}
        for each in keep_best(result.intervals)
        if each.label in session.project.content.classes
    ]
    curves = curves_of(evidence or Evidence.none(video.id, result.duration))
    return {"found": found, "curves": curves, "duration": result.duration}
