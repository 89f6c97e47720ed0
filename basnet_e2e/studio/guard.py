"""Who may talk to the server: the browser that was given the token, from the studio's own pages.

A page of another site can send requests to this machine, and by rebinding its own name (DNS) even
read the answers. So every request must name this server in ``Host``, carry the cookie that the
first address gave, and, where it changes something, come from a page of this origin.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SAFE = ("GET", "HEAD")
OWN_SITE = (None, "same-origin", "none")  # Sec-Fetch-Site of the studio's pages and of a typed one


class Guard:
    """ASGI middleware.

    Args:
        app: what it guards.
        port: of the server.
        hosts: names under which it may be asked.
        addresses: also under any address, which no name of another site is.

    Attributes:
        token: what the first address carries.
    """

    def __init__(
        self, app: Any, port: int, hosts: Sequence[str], *, addresses: bool = False
    ) -> None:
        self._app = app
        self.token = secrets.token_urlsafe(24)
        self._cookie = f"basnet-studio-{port}"  # cookies are shared by all ports of a host
        self._hosts = {f"{host}:{port}" for host in hosts}
        self._end = f":{port}" if addresses else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # nothing else, such as a web socket, is served
        refused = self._refused(scope)

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (refused or self._app)(scope, receive, guarded)

    def _refused(self, scope: Any) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own(host):
            return PlainTextResponse("unknown host", 421)
        safe = scope["method"] in SAFE
        if headers.get("sec-fetch-site") not in OWN_SITE and not safe:
            return PlainTextResponse("a request of another site", 403)
        origin = headers.get("origin")
        if origin != f"http://{host}" and not (safe and origin is None):
            return PlainTextResponse("a request of another site", 403)
        if safe and scope["path"] == "/" and (token := self._token_in(scope)) is not None:
            return self._welcome(token)
        if not self._is_known(headers.get("cookie", "")):
            return PlainTextResponse(
                "Open the address that 'basnet studio' printed when it was started.", 403
            )
        return None

    def _is_own(self, host: str) -> bool:
        if host in self._hosts or self._end is None or not host.endswith(self._end):
            return host in self._hosts
        try:
            ipaddress.ip_address(host.removesuffix(self._end).strip("[]"))
        except ValueError:
            return False
        return True

    def _token_in(self, scope: Any) -> str | None:
        return QueryParams(scope["query_string"]).get("token")

    def _welcome(self, token: str) -> Response:
        """Set the cookie, and redirect to the page without the token in its address."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return PlainTextResponse("This address is of an earlier start.", 403)
        # Not a redirect: a strict cookie would not follow one that another program began.
        page = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><link rel="icon" '
        page += 'href="data:,"><title>Studio</title>'
        answer = HTMLResponse(page)
        answer.set_cookie(self._cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_known(self, text: str) -> bool:
        try:
            found = SimpleCookie(text).get(self._cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self.token.encode())
