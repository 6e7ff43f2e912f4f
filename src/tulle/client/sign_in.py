"""Who is asking: a token of the mesh's issuer, fetched over its Unix socket and kept until shortly before it expires.

The socket answers to its own user only, so on a laptop nobody types a password. From elsewhere a token must be given.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tulle.errors import Unavailable, Unidentified, from_document

LIFE = 3_600
"""How many seconds a token lives that is fetched without saying."""
_EARLY = 60
_ANSWER = 10.0
_LONGEST = 65_536


class SignIn:
    """Gives the token to ask with. Calling it is cheap; it may be called from any thread."""

    def __init__(
        self, issuer: Path | None, subject: str = "", teams: Sequence[str] | None = None, token: str = ""
    ) -> None:
        self._issuer, self._subject = issuer, subject or person()
        self._teams = ("*",) if teams is None and not subject else tuple(teams or ())
        self._given = token
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def __call__(self) -> str:
        """A token that is still good for a minute. Raises `Unidentified` E310 where there is no way to get one."""
        if self._given:
            return self._given
        with self._lock:
            if time.time() > self._until - _EARLY:
                self._token = self.mint()
                self._until = expires(self._token)
            return self._token

    def forget(self) -> bool:
        """Drops the token that a door did not accept. Whether another one can be had."""
        with self._lock:
            self._until = 0.0
        return not self._given and self._issuer is not None

    def mint(self, subject: str = "", teams: Sequence[str] | None = None, seconds: int = LIFE) -> str:
        """A new token, of the caller unless another subject is named: who is in no team unless `teams` says so."""
        other = bool(subject) and subject != self._subject
        own = () if other else self._teams
        request = {"op": "mint", "sub": subject or self._subject, "teams": list(own if teams is None else teams)}
        return str(self._asked({**request, "ttl": seconds})["token"])

    def code(self) -> str:
        """A one-time code that signs a browser in."""
        request = {"op": "code", "sub": self._subject, "teams": list(self._teams)}
        return str(self._asked(request)["code"])

    def _asked(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._issuer is None:
            why = "This mesh is not one of this user on this machine, so its issuer cannot be asked."
            raise Unidentified("E310", "nobody is signed in", why=why, fix="TULLE_TOKEN=...")
        return ask_issuer(self._issuer, request)


def person() -> str:
    """The person at this machine, as a subject."""
    try:
        return f"person:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"person:{os.getuid()}"


def ask_issuer(path: Path, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The issuer's answer to one line. Raises its error, or `Unavailable` E006 while it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ANSWER)
            line.connect(str(path))
            line.sendall(json.dumps(request).encode() + b"\n")
            data = _line(line)
        answer: Mapping[str, Any] = json.loads(data)
    except (OSError, ValueError) as problem:
        raise Unavailable(
            "E006", "the issuer of tokens does not answer", why=str(problem), fix="tulle status"
        ) from None
    if "error" in answer:
        raise from_document(answer["error"])
    return answer


def expires(token: str) -> float:
    """When a token expires, by its own word; nobody trusts it but its holder."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return 0.0


def _line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < _LONGEST:
        more = connection.recv(4_096)
        if not more:
            break
        data += more
    return data


Token = Callable[[], str]
