"""What the front door looks at before anything else: that a browser was not led here under another name."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tulle.errors import Denied, TulleError, UsageError
from tulle.faces.portal import pages

SESSION = "tulle_session"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SameHost:
    """Lets through what was asked of a loopback name and this port; refuses other names and other sites' forms.

    A page on the web can make a name of its own point to 127.0.0.1. Its requests then carry that name as Host.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app, self.port = app, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            self._check(request)
        except TulleError as error:
            await refusal(request, error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            why = "Only 127.0.0.1, localhost and [::1] with this port are names of this mesh."
            raise UsageError("E013", f'"{host[:80]}" is no name of this mesh', why=why)
        if request.method in _SAFE or SESSION not in request.cookies:
            return
        origin = request.headers.get("origin", "")
        if not origin.startswith("http://") or not self._is_ours(origin.removeprefix("http://")):
            why = "A session changes things only from the mesh's own pages; programs send a token."
            raise Denied(
                "E301", "this was asked from another site", why=why, fix="Authorization: Bearer $(tulle token)"
            )

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            return parts.hostname in LOOPBACK and (parts.port or 80) == self.port and parts.netloc == host
        except ValueError:
            return False


def refusal(request: Request, error: TulleError) -> Response:
    """The error as this reader reads errors: a page in a browser, JSON elsewhere."""
    headers = {"Retry-After": "1"} if error.retryable else {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wants_page(request):
        return page(pages.error_page(error), error.http_status, headers)
    return JSONResponse({"error": error.as_document()}, error.http_status, headers | _HEADERS)


def page(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A page of the portal: nothing in it may run, and nothing is fetched from elsewhere."""
    whole = {**_HEADERS, "Content-Security-Policy": POLICY, "Cache-Control": "no-store", **(headers or {})}
    return HTMLResponse(text, status, whole)


def wants_page(request: Request) -> bool:
    """Whether a browser asks, rather than a program."""
    accepted = request.headers.get("accept", "")
    return request.method == "GET" and "text/html" in accepted


def token_of(request: Request) -> str | None:
    """The token of a request: of its header, or of its session."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip() or None
    return request.cookies.get(SESSION) or None
