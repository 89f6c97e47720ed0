"""What pages ask the server: changes since they last asked, one video, and to do something."""

import shutil
from collections.abc import Callable
from functools import wraps
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from basnet_e2e.errors import BasnetError
from basnet_e2e.report.pages.page import media_type
from basnet_e2e.studio.catalogue import Video
from basnet_e2e.studio.pages import found_by_model
from basnet_e2e.studio.project.project import StaleError
from basnet_e2e.studio.session import Session
from basnet_e2e.studio.tasks.exports import EXPORTS, REPORT, exported, target_of
from extract.errors import ExtractError
from weights.json_documents import JsonError, parse_json

LARGEST = 20_000_000  # bytes of a request
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}  # addresses change

Handler = Callable[[Session, Request, Any], Any]


class MissingError(BasnetError):
    """There is no such video or file."""


def _json(handler: Handler) -> Callable[..., Any]:
    """An endpoint that takes JSON and gives JSON; what a user can put right is one line.

    The handler runs in a thread: it may wait for the disk.
    """

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        session: Session = request.app.state.session
        try:
            body = await _body(request)
            found = await run_in_threadpool(handler, session, request, body)
        except MissingError as error:
            return JSONResponse({"error": str(error)}, 404)
        except StaleError as error:
            return JSONResponse({"error": str(error), **_current(session, request)}, 409)
        except (BasnetError, ExtractError) as error:
            return JSONResponse({"error": str(error)}, 422)
        except OSError as error:
            return JSONResponse({"error": f"{error.filename}: {error.strerror}"}, 507)
        return found if isinstance(found, Response) else JSONResponse(found)

    return endpoint


async def _body(request: Request) -> Any:
    if request.method in ("GET", "HEAD"):
        return None
    if request.headers.get("content-type") != "application/json":
        raise BasnetError("a request holds JSON")
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LARGEST:
            raise BasnetError("the request is too large")
    try:
        body = parse_json(data)
    except JsonError as error:
        raise BasnetError(f"the request: {error}") from error
    if not isinstance(body, dict):
        raise BasnetError("a request is a JSON object")
    return body


def _video(session: Session, request: Request) -> Video:
    video = session.video(request.path_params["key"])
    if video is None or video.problem:
        raise MissingError(video.problem if video else "this video no longer exists")
    return video


def _current(session: Session, request: Request) -> dict[str, Any]:
    """What there is now, for a page whose change came too late."""
    video = session.video(request.path_params.get("key", ""))
    if video is None:
        return {}
    annotation = session.project.content.of(video.id)
    return {"annotation": annotation.to_json(), "version": annotation.version}


def changes(session: Session, request: Request, body: Any) -> Any:
    """The status, and the rows that have changed since ``since``."""
    parts = request.query_params.get("since", "0.0").split(".")
    try:
        since = (int(parts[0]), int(parts[1]))
    except (ValueError, IndexError) as error:
        raise BasnetError("since is REVISION.REVISION") from error
    now = session.revisions()
    if since == now:
        return {"revision": ".".join(map(str, now))}
    if since > now:
        since = (0, 0)  # of an earlier start of the studio
    rows = session.rows(since)
    found = {"revision": ".".join(map(str, now)), "rows": rows, "status": session.status()}
    return found | {"keys": list(session.catalogue.videos)}


def annotation(session: Session, request: Request, body: Any) -> Any:
    """Read (GET) or replace (PUT) what is known of a video."""
    video = _video(session, request)
    if body is not None:
        based_on = request.headers.get("if-match", "").strip('"')
        known = session.duration(video)
        session.project.annotate(video.id, body, based_on, known)
    found = _current(session, request)
    return JSONResponse(found, headers={"ETag": f'"{found["version"]}"'})


def look(session: Session, request: Request, body: Any) -> Any:
    """What the model found in a video now."""
    return found_by_model(session, _video(session, request))


def wanted(session: Session, request: Request, body: Any) -> Any:
    """Take the previews of these videos first."""
    session.previews.want([str(key) for key in body.get("keys", [])][:100])
    return {}


def hold_out(session: Session, request: Request, body: Any) -> Any:
    """Keep a video for checking the model, or learn from it."""
    session.project.hold_out(_video(session, request).id, bool(body.get("held_out")))
    return {}


def proxy(session: Session, request: Request, body: Any) -> Any:
    """Ask for a copy that this browser can play."""
    return session.proxies.make(_video(session, request))


def classes(session: Session, request: Request, body: Any) -> Any:
    """Add, rename, merge or remove a class, or take that back."""
    project, name = session.project, str(body.get("name", ""))
    match body.get("do"):
        case "add":
            project.add_class(name)
        case "rename":
            return {"videos": project.rename_class(name, str(body.get("new", "")))}
        case "remove":
            return {"videos": project.rename_class(name, None)}
        case "undo":
            project.undo()
        case _:
            raise BasnetError("do is add, rename, remove or undo")
    return {}


def features(session: Session, request: Request, body: Any) -> Any:
    """Pause the extraction of features, or resume it."""
    session.extraction.pause(bool(body.get("paused")))
    return {}


def training(session: Session, request: Request, body: Any) -> Any:
    """Start, stop or continue training; check the model, or take the one before."""
    learning = session.learning
    tasks = {
        "start": learning.train,
        "continue": lambda: learning.train(resume=True),
        "stop": learning.stop,
        "check": learning.check,
        "restore": learning.restore,
    }
    task = tasks.get(str(body.get("do")))
    if task is None:
        raise BasnetError(f"do is one of {', '.join(tasks)}")
    task()
    return {}


def export(session: Session, request: Request, body: Any) -> Any:
    """Write intervals in a format, or the report; where they are, and how to download them."""
    name = str(body.get("format", ""))
    content = session.project.content
    path = exported(session.folder, session.videos, content, session.durations(), name)
    url = None if name == REPORT else f"/{EXPORTS}/{name}"
    return {"path": str(path), "url": url}


def download(session: Session, request: Request, body: Any) -> Response:
    """A file that was exported; of a folder an archive."""
    path = session.folder / EXPORTS / target_of(request.path_params["name"])
    if path.is_dir():
        path = path.parent / shutil.make_archive(str(path), "zip", path)
    if not path.is_file():
        raise MissingError("there is no such export")
    return FileResponse(path, filename=path.name, content_disposition_type="attachment")


def media(session: Session, request: Request, body: Any) -> Response:
    """The video file, in ranges as the player asks for them."""
    video = _video(session, request)
    return FileResponse(video.path, media_type=media_type(video.path))


def proxy_media(session: Session, request: Request, body: Any) -> Response:
    """The copy of a video."""
    path = session.proxies.path(_video(session, request))
    if not path.is_file():
        raise MissingError("there is no copy of this video yet")
    return FileResponse(path, media_type="video/mp4")


def strip(session: Session, request: Request, body: Any) -> Response:
    """Some pictures of a video side by side."""
    picture = session.previews.strip(_video(session, request))
    if picture is None:
        raise MissingError("no picture yet")
    return Response(picture, media_type="image/jpeg", headers=KEPT)


ROUTES = [
    Route("/api/changes", _json(changes)),
    Route("/api/wanted", _json(wanted), methods=["POST"]),
    Route("/api/classes", _json(classes), methods=["POST"]),
    Route("/api/features", _json(features), methods=["POST"]),
    Route("/api/training", _json(training), methods=["POST"]),
    Route("/api/exports", _json(export), methods=["POST"]),
    Route("/api/videos/{key}", _json(annotation), methods=["GET", "PUT"]),
    Route("/api/videos/{key}/look", _json(look)),
    Route("/api/videos/{key}/held-out", _json(hold_out), methods=["PUT"]),
    Route("/api/videos/{key}/proxy", _json(proxy), methods=["POST"]),
    Route("/media/{key}", _json(media)),
    Route("/media/{key}/proxy", _json(proxy_media)),
    Route("/strips/{key}/{stamp}.jpg", _json(strip)),
    Route("/exports/{name}", _json(download)),
]
