"""The local server of the studio."""

import contextlib
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock, Timeout
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.api import ROUTES
from basnet_e2e.studio.guard import Guard
from basnet_e2e.studio.pages import list_page, video_page
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.session import Session

LOOPBACK = "127.0.0.1"
TYPES = {".js": "text/javascript", ".css": "text/css"}
# Modules and styles of the report and of the studio; nothing else of the packages can be asked for.
ASSET_ROOMS = ("basnet_e2e.studio", "basnet_e2e.report.pages")


def assets() -> dict[str, tuple[bytes, str]]:
    """File name -> content and type."""
    found: dict[str, tuple[bytes, str]] = {}
    for room in reversed(ASSET_ROOMS):
        for path in (resources.files(room) / "assets").iterdir():
            kind = TYPES.get(Path(path.name).suffix)
            if kind:
                found[path.name] = (path.read_bytes(), kind)
    return found


def application(session: Session) -> Starlette:
    """The server's pages, without its guard."""
    known = assets()

    def asset(request: Request) -> Response:
        content, kind = known.get(request.path_params["name"], (b"", ""))
        if not kind:
            return Response("not found", 404)
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    def start(request: Request) -> Response:
        return HTMLResponse(list_page(session))

    def video(request: Request) -> Response:
        found = session.video(request.path_params["key"])
        if found is None or found.problem:
            return Response("This video no longer exists.", 404, media_type="text/plain")
        return HTMLResponse(video_page(session, found))

    def after(request: Request) -> Response:
        found = session.after(request.path_params["key"])
        return RedirectResponse("/" if found is None else f"/videos/{found.key}", 303)

    own = [
        Route("/", start),
        Route("/videos/{key}/next", after),
        Route("/videos/{key}", video),
        Route("/assets/{name}", asset),
    ]
    app = Starlette(routes=[*own, *ROUTES])
    app.state.session = session
    return app


def bound(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any.

    Raises:
        BasnetError: the address cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen()  # who comes before the server is ready waits
    except OSError as error:
        raise BasnetError(
            f"{host}:{port} cannot be listened on ({error.strerror or error}); another studio may "
            "use it: give another --port"
        ) from error
    return found


def serve(
    videos: Path,
    project: Path,
    how: dict[str, Any],
    *,
    host: str = LOOPBACK,
    port: int = 0,
    browser: bool = True,
    on_start: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        videos: folder of videos.
        project: folder of all that is made; it is made.
        how: how features of a new project are made: ``backbone``, ``streams``, ``stride``.
        host: address to listen on.
        port: 0 takes any that is free.
        browser: open the page.
        on_start: called with the address to open.

    Raises:
        BasnetError: the address cannot be listened on, or another studio has this project.
    """
    with locked(project), contextlib.closing(bound(host, port)) as listening:
        port = listening.getsockname()[1]
        everywhere = host in ("0.0.0.0", "::")
        name = socket.gethostname() if everywhere else host
        names = {name, "localhost", LOOPBACK} if host in (LOOPBACK, "localhost") else {name}
        session = Session(videos, project, how)
        hosts = [_in_address(each) for each in names]
        guard = Guard(application(session), port, hosts, addresses=everywhere)
        address = f"http://{_in_address(name)}:{port}/?token={guard.token}"
        config = uvicorn.Config(
            guard,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
            ws="none",
        )
        server = uvicorn.Server(config)
        on_start(address)
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            server.run(sockets=[listening])
        finally:
            session.close()


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextlib.contextmanager
def locked(project: Path) -> Iterator[None]:
    """One studio per project at a time.

    Raises:
        BasnetError: another one has it.
    """
    (project / HIDDEN).mkdir(parents=True, exist_ok=True)
    lock = FileLock(project / HIDDEN / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BasnetError(
            f"{project}: another studio works on this project; use its page, or end it"
        ) from error
    try:
        yield
    finally:
        lock.release()
