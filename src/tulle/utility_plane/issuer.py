"""The local issuer: an Ed25519 key in a private file, and a Unix socket that mints tokens for its own user only.

It serves nothing over TCP. Its public keys are a file (`jwks.json`) that the front door hands out. Sign-in codes are
kept on disk, hashed, so that a link printed before a crash still works after it, once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tulle.errors import Denied, TulleError, Unidentified, UsageError
from tulle.utility_plane.identities import ACCESS_TYPE, LONGEST, issuer_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CODE_LIFE = 900
"""How many seconds a sign-in code waits to be used."""

SESSION_LIFE = 43_200
"""How many seconds a session lasts that a sign-in code opened."""

_LONGEST_LINE = 65_536
_PATIENCE = 5.0


class Issuer:
    """Mints tokens for one mesh. `folder` holds its key, its published keys and the open sign-in codes."""

    def __init__(self, folder: Path, mesh_id: str, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.mesh_id, self.clock = folder, mesh_id, clock
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._codes = folder / "codes.json"
        self._key = _signing_key(folder / "key.pem")
        self.kid, jwk = _public(self._key)
        _write(folder / "jwks.json", json.dumps({"keys": [jwk]}), 0o644)

    def mint(self, sub: str, teams: tuple[str, ...] = (), ttl: int = 3_600, act: str | None = None) -> str:
        """A signed token for `sub`, valid for `ttl` seconds from now."""
        import jwt

        now = int(self.clock())
        claims: dict[str, Any] = {
            "iss": issuer_of(self.mesh_id),
            "aud": self.mesh_id,
            "sub": sub,
            "teams": list(teams),
            "iat": now,
            "exp": now + ttl,
            "jti": secrets.token_urlsafe(12),
        }
        claims |= {"act": {"sub": act}} if act else {}
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"typ": ACCESS_TYPE, "kid": self.kid})

    def code(self, sub: str, teams: tuple[str, ...] = ()) -> str:
        """A one-time code that `redeem` turns into a session of `sub`."""
        code = secrets.token_urlsafe(24)
        with self._open_codes() as codes:
            codes[_digest(code)] = {"sub": sub, "teams": list(teams), "until": self.clock() + CODE_LIFE}
        return code

    def redeem(self, code: str) -> str:
        """The session token of `code`, whose use is on disk before the token exists."""
        with self._open_codes() as codes:
            whose = codes.pop(_digest(code), None)
        if whose is None:
            raise Unidentified("E311", "the sign-in link was used, or is too old", fix="tulle token --link")
        return self.mint(whose["sub"], tuple(whose["teams"]), SESSION_LIFE)

    @contextlib.contextmanager
    def _open_codes(self) -> Iterator[dict[str, Any]]:
        """The codes still open, to be changed under a lock: two processes may overlap while one replaces another."""
        with (self.folder / "codes.lock").open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            codes = _read_codes(self._codes)
            codes = {key: whose for key, whose in codes.items() if whose["until"] > self.clock()}
            yield codes
            _write(self._codes, json.dumps(codes), 0o600)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, socket_path: Path, issuer: Issuer) -> None:
        self.issuer, self.lock = issuer, threading.Lock()
        super().__init__(str(socket_path), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def handle(self) -> None:
        try:
            if peer_uid(self.connection) != os.getuid():
                raise Denied("E301", "the issuer serves its own user only")
            line = self.rfile.readline(_LONGEST_LINE)
            with self.server.lock:
                answer = answered(self.server.issuer, line)
        except TulleError as error:
            answer = {"error": error.as_document()}
        except OSError:
            return
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def serve(
    folder: Path,
    socket_path: Path,
    mesh_id: str,
    stopped: threading.Event | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answers on `socket_path` until the process ends, or until `stopped` is set."""
    issuer = Issuer(folder, mesh_id)
    socket_path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server = _Server(socket_path, issuer)
    finally:
        os.umask(before)
    with server:
        ready()
        if stopped is not None:
            threading.Thread(target=_shut, args=(server, stopped), daemon=True).start()
        server.serve_forever(poll_interval=0.5 if stopped is None else 0.02)


def _shut(server: _Server, stopped: threading.Event) -> None:
    stopped.wait()
    server.shutdown()


def answered(issuer: Issuer, line: bytes) -> dict[str, Any]:
    """The answer to one line of the socket's protocol."""
    try:
        request = json.loads(line)
    except ValueError:
        raise UsageError("E011", "the request is no line of JSON") from None
    if not isinstance(request, Mapping):
        raise UsageError("E011", "the request is no object")
    op = request.get("op")
    if op == "redeem":
        return {"token": issuer.redeem(_text(request, "code"))}
    if op == "code":
        return {"code": issuer.code(_text(request, "sub"), _teams(request))}
    if op == "mint":
        act = _text(request, "act") if request.get("act") is not None else None
        return {"token": issuer.mint(_text(request, "sub"), _teams(request), _life(request), act)}
    raise UsageError("E011", "op must be mint, code or redeem")


def peer_uid(connection: socket.socket) -> int:
    """The user behind the other end of a Unix socket, as the kernel knows it."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    # LOCAL_PEERCRED of the BSDs and macOS: struct xucred begins with a version and the uid.
    return int(struct.unpack_from("2I", connection.getsockopt(0, 1, 76))[1])


def _text(request: Mapping[str, Any], name: str) -> str:
    text = request.get(name)
    if not isinstance(text, str) or not text or len(text) > 512:
        raise UsageError("E011", f"{name} must be a text")
    return text


def _teams(request: Mapping[str, Any]) -> tuple[str, ...]:
    teams = request.get("teams", [])
    if not isinstance(teams, list) or not all(isinstance(team, str) for team in teams):
        raise UsageError("E011", "teams must be a list of texts")
    return tuple(teams)


def _life(request: Mapping[str, Any]) -> int:
    ttl = request.get("ttl", 3_600)
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 < ttl <= LONGEST:
        raise UsageError("E011", f"ttl must be a number of seconds from 1 to {LONGEST}")
    return ttl


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _read_codes(path: Path) -> dict[str, Any]:
    try:
        codes: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return codes


def _signing_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if not path.exists():
        made = Ed25519PrivateKey.generate()
        _write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), 0o600)
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def _public(key: Ed25519PrivateKey) -> tuple[str, dict[str, str]]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from jwt.utils import base64url_encode

    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kid = hashlib.sha256(raw).hexdigest()[:16]
    shape = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
    return kid, {**shape, "kid": kid, "x": base64url_encode(raw).decode()}


def _write(path: Path, text: str, mode: int) -> None:
    """Replaces the file whole, on disk, never readable by others in between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
