"""Calls to doors over HTTP: patient while a door restarts, streaming, with every refusal as the error it is.

A question may be asked again when its answer did not come; what changes something is sent again only if it was surely
never received.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any, Self, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import pyarrow as pa

from tulle.client.doors import Doors, away
from tulle.client.sign_in import SignIn, Token
from tulle.errors import TulleError, Unavailable, Unidentified, from_document
from tulle.formats.answers import ARROW, broken_off, read_arrow
from tulle.product.reading import Stamp
from tulle.uris import ProductName

PATIENCE = 10.0
"""How many seconds a door may be away before the caller is told."""
_CONNECT = 5.0
_ANSWER = 600.0
T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True)
class Call:
    """One request. `target` is a product, or None for the mesh's front door. `seconds` bounds a silence."""

    path: str
    target: ProductName | None = None
    pairs: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    safe: bool = True
    seconds: float = _ANSWER

    @property
    def address(self) -> str:
        query = f"?{urlencode(self.pairs)}" if self.pairs else ""
        return quote(self.path, safe="/@:") + query


class Reply:
    """An answer that has begun. It must be read to its end or closed."""

    def __init__(
        self, connection: http.client.HTTPConnection, line: socket.socket, response: http.client.HTTPResponse
    ) -> None:
        self._connection, self._line, self.response = connection, line, response
        self.headers = response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connection; a reader in another thread comes back at once."""
        # it may have gone already
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._connection.close()

    def read(self) -> bytes:
        """All of it. Raises `Unavailable` E006 if it breaks off."""
        try:
            return self.response.read()
        except (OSError, http.client.HTTPException) as problem:
            raise broken_off(_said(problem)) from None

    def arrow(self) -> tuple[pa.Table, Stamp]:
        """The rows and their stamp. Raises `Unavailable` E006 if they break off."""
        try:
            return read_arrow(cast("IO[bytes]", self.response))
        except http.client.HTTPException as problem:
            raise broken_off(_said(problem)) from None

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they come, until the door leaves."""
        while True:
            try:
                piece = self.response.read1(65_536)
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                return  # closed, by the door or by ourselves in another thread
            if not piece:
                return
            yield piece


class Calls:
    """Asks the doors of one mesh as one subject."""

    def __init__(self, doors: Doors, token: Token, patience: float = PATIENCE) -> None:
        self.doors, self.token, self.patience = doors, token, patience

    def document(self, call: Call) -> Any:
        """The JSON that answers `call`."""
        data = self._whole(call, lambda reply: reply.read())
        try:
            return json.loads(data)
        except ValueError as problem:
            raise broken_off(str(problem)) from None

    def rows(self, call: Call) -> tuple[pa.Table, Stamp]:
        """The rows that answer `call`, as Arrow."""
        asked = replace(call, headers={**call.headers, "Accept": ARROW})
        return self._whole(asked, lambda reply: reply.arrow())

    def open(self, call: Call) -> Reply:
        """The answer to `call`, begun. Raises the error that the door answered, or `Unavailable` E006."""
        return self._patiently(call, lambda: self._once(call))

    def _whole(self, call: Call, read: Callable[[Reply], T]) -> T:
        def attempt() -> T:
            with self._once(call) as reply:
                return read(reply)

        return self._patiently(call, attempt)

    def _patiently(self, call: Call, attempt: Callable[[], T]) -> T:
        """Tries again while a door restarts; renews, once, a token that is not accepted any more."""
        give_up, pause, renewed = time.monotonic() + self.patience, _FIRST_PAUSE, False
        while True:
            try:
                return attempt()
            except Unidentified:
                if renewed or not (isinstance(self.token, SignIn) and self.token.forget()):
                    raise
                renewed = True
            except (Unavailable, _NotSent) as problem:
                error = problem.error if isinstance(problem, _NotSent) else problem
                again = error.retryable and error.code == "E006" and (call.safe or isinstance(problem, _NotSent))
                if not again or time.monotonic() + pause > give_up:
                    raise error from None
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(self, call: Call) -> Reply:
        try:
            base = self.doors.door(call.target) if call.target else self.doors.front_door
            token = self.token()
        except Unavailable as problem:
            raise _NotSent(problem) from None
        connection = self._connected(base, call)
        line = connection.sock
        try:
            response = _asked(connection, urlsplit(base).path, call, token)
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise _unsure(call, problem) from None
        reply = Reply(connection, line, response)
        if response.status >= 400:
            with reply:
                raise _refusal(call, reply)
        return reply

    def _connected(self, base: str, call: Call) -> http.client.HTTPConnection:
        parts = urlsplit(base)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_CONNECT)
        try:
            connection.connect()
            connection.sock.settimeout(call.seconds)
        except OSError as problem:
            connection.close()
            raise _NotSent(away(call.target, f"Its door {base} is closed: {_said(problem)}")) from None
        return connection


class _NotSent(Exception):
    """The door was away before anything was sent, so that even a change may be sent again."""

    def __init__(self, error: Unavailable) -> None:
        super().__init__(str(error))
        self.error = error


def _asked(connection: http.client.HTTPConnection, prefix: str, call: Call, token: str) -> http.client.HTTPResponse:
    headers = {"Accept": "application/json", "Authorization": f"Bearer {token}", **call.headers}
    body = None
    if call.body is not None:
        body = json.dumps(call.body).encode()
        headers["Content-Type"] = "application/json"
    connection.request("GET" if body is None else "POST", prefix.rstrip("/") + call.address, body, headers)
    return connection.getresponse()


def _unsure(call: Call, problem: Exception) -> Unavailable:
    if call.safe:
        return away(call.target, f"It left in the middle: {_said(problem)}")
    why = f"It left before it answered ({_said(problem)}): the change may or may not have been made."
    return Unavailable("E006", f"{call.target} does not answer", why=why, fix=f"tulle log {call.target}")


def _refusal(call: Call, reply: Reply) -> TulleError:
    """The error in an answer; one that no door of ours wrote is told by its status."""
    try:
        return from_document(json.loads(reply.read())["error"])
    except (ValueError, KeyError, TypeError, AttributeError, Unavailable):
        status = reply.response.status
    if status in (502, 503, 504):
        return away(call.target, f"It answered {status}.")
    return TulleError("E008", f"{call.address} answered {status} without saying why")


def _said(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__
