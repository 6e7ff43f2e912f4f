"""Passing a request on to a door, and its answer back, piece by piece.

An answer may have no end (changes as they come), so nothing is held back, and when the reader leaves, the door is left
at once, too.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tulle.errors import TulleError, Unavailable, UsageError
from tulle.formats.routes import RESERVED_DOMAINS

# Hop-by-hop headers, and those that this hop decides itself.
_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_ASKED_ANEW = frozenset({"host", "cookie", "authorization", "content-length", "proxy-authorization", "forwarded"})
_FROM_ELSEWHERE = frozenset({"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})
_NOT_FORWARDED = _HOP | _ASKED_ANEW | _FROM_ELSEWHERE
_NOT_RETURNED = _HOP | {"date", "server", "set-cookie"}
CONNECTING = 2.0
MESH_ANSWERS = 5.0
"""The mesh plane answers from its index: one that takes longer hangs, and the reader is told."""
LARGEST_BODY = 4_000_000


def client() -> httpx.AsyncClient:
    """The connections to the doors. Answers may take their time; only connecting may not."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    timeout = httpx.Timeout(None, connect=CONNECTING)
    return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False, follow_redirects=False)


class Passed:
    """The answer of another door to `request`, as an ASGI response."""

    def __init__(self, connections: httpx.AsyncClient, request: Request, door: str, token: str | None) -> None:
        self._connections, self._request, self._door, self._token = connections, request, door, token

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Raises `Unavailable` E006 as long as nothing has been sent, if the door does not answer."""
        body = await _body(self._request)
        refused: TulleError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_the_reader_leaves, receive, tasks.cancel_scope)
            try:
                await self._pass(body, send)
            except TulleError as error:
                refused = error
            tasks.cancel_scope.cancel()
        if refused:
            raise refused

    async def _pass(self, body: bytes, send: Send) -> None:
        answer = await self._ask(body)
        try:
            await _return(answer, send)
        except httpx.TransportError:
            # The door went away in the middle of its answer. Ending ours without its last piece tells the reader.
            return
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    async def _ask(self, body: bytes) -> httpx.Response:
        request = self._request
        path = request.scope.get("raw_path") or request.url.path.encode()
        url = httpx.URL(self._door).copy_with(raw_path=path + _query(request))
        headers = [(name, text) for name, text in request.headers.items() if name not in _NOT_FORWARDED]
        headers += [("authorization", f"Bearer {self._token}")] if self._token else []
        read = MESH_ANSWERS if request.url.path.split("/")[1] in RESERVED_DOMAINS else None
        patience = httpx.Timeout(None, connect=CONNECTING, read=read)
        message = self._connections.build_request(
            request.method, url, headers=headers, content=body or None, timeout=patience
        )
        for attempt in range(2):
            try:
                return await self._connections.send(message, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout):
                raise away(request.url.path) from None
            except httpx.TransportError:
                # A kept connection that the door has closed meanwhile; reading again does no harm.
                if attempt or request.method != "GET":
                    raise away(request.url.path) from None
        raise AssertionError


def away(path: str) -> Unavailable:
    """The error for a door that is registered and does not answer."""
    product = "/".join(path.split("/")[1:3])
    why = "Its container is starting, or starting again."
    return Unavailable("E006", f"{product} does not answer at the moment", why=why, fix=f"tulle status {product}")


async def _until_the_reader_leaves(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _body(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_BODY:
            raise UsageError("E011", f"the request is larger than {LARGEST_BODY:,} bytes")
    return b"".join(pieces)


async def _return(answer: httpx.Response, send: Send) -> None:
    headers = [(name.lower(), text) for name, text in _returned(answer.headers.raw)]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    async for piece in answer.aiter_raw():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _returned(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return ((name, text) for name, text in headers if name.decode("latin-1").lower() not in _NOT_RETURNED)


def _query(request: Request) -> bytes:
    query: bytes = request.scope.get("query_string", b"")
    return b"?" + query if query else b""
