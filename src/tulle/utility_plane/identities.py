"""Identities: reading a token, and asking the local issuer for one.

Tokens are JWTs of an OpenID Connect issuer. `Verifier` needs only the issuer's published keys, so that a product goes
on answering while the issuer is away. The local issuer (`issuer.py`) mints over a Unix socket, never over HTTP.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tulle.errors import Unavailable, Unidentified, from_document

LEEWAY = 30
"""How many seconds two machines' clocks may differ."""

LONGEST = 86_400
"""The longest life of a token, in seconds."""

ACCESS_TYPE = "at+jwt"
SIGN_IN_FIX = 'curl -H "Authorization: Bearer $(tulle token)" …'
_LARGEST_TOKEN = 8_192
_REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit"})
_REQUIRED = ["exp", "iat", "iss", "sub", "aud"]


def issuer_of(mesh_id: str) -> str:
    """The permanent name of a mesh's own issuer."""
    return f"https://{mesh_id}"


class Verifier:
    """Reads tokens with the keys that the issuer published in a JWKS file; reads it again when it has changed."""

    def __init__(self, jwks: Path, issuer: str, audience: str) -> None:
        self.jwks, self.issuer, self.audience = jwks, issuer, audience
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Any] = {}

    def verify(self, token: str | None) -> dict[str, Any]:
        """The claims in `token`: `sub`, `teams`, `act`, `exp` and so on.

        Raises `Unidentified`: E310 where there is none, E311 where it is not accepted.
        """
        if not token:
            raise missing()
        if len(token) > _LARGEST_TOKEN:
            raise _refused("it is too long")
        return _well_formed(self._claims(token))

    def _claims(self, token: str) -> dict[str, Any]:
        import jwt

        try:
            key = self._key(jwt.get_unverified_header(token))
            return jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            raise _refused(_reason(error)) from None

    def _key(self, header: Mapping[str, Any]) -> Any:
        if header.get("alg") != "EdDSA":
            raise _refused("it is not signed with EdDSA")
        if str(header.get("typ", "")).lower() != ACCESS_TYPE:
            raise _refused("it is no access token")
        if _REFUSED_HEADERS & set(header):
            raise _refused("it names a key of its own")
        kid = header.get("kid")
        if not isinstance(kid, str) or kid not in self._keys:
            self._read_again()
        if not isinstance(kid, str) or kid not in self._keys:
            raise _refused("it is signed with a key that this mesh does not know")
        return self._keys[kid]

    def _read_again(self) -> None:
        """Looks at the file's stamp first: a stream of tokens with unknown keys must not cost a parse each."""
        from jwt import PyJWK

        try:
            stat = self.jwks.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp:
                return
            document = json.loads(self.jwks.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return
        self._keys = {key["kid"]: PyJWK(key, "EdDSA").key for key in document["keys"]}
        self._stamp = stamp


def missing() -> Unidentified:
    """The error for a request without a token."""
    return Unidentified("E310", "no token: nobody is asking", fix=SIGN_IN_FIX)


def mint(socket_path: Path, sub: str, teams: tuple[str, ...] = (), ttl: int = 3_600, act: str | None = None) -> str:
    """A token for `sub`, from the issuer behind `socket_path`. `act` names who acts in the subject's name."""
    request: dict[str, Any] = {"op": "mint", "sub": sub, "teams": list(teams), "ttl": ttl}
    return str(ask(socket_path, request | ({"act": act} if act else {}))["token"])


def sign_in_code(socket_path: Path, sub: str, teams: tuple[str, ...] = ()) -> str:
    """A one-time code that becomes a session of `sub`."""
    return str(ask(socket_path, {"op": "code", "sub": sub, "teams": list(teams)})["code"])


def redeem(socket_path: Path, code: str) -> str:
    """The session token that `code` stands for. Raises `Unidentified` E311 if it was used, or is too old."""
    return str(ask(socket_path, {"op": "redeem", "code": code})["token"])


def ask(socket_path: Path, request: Mapping[str, Any], seconds: float = 10) -> dict[str, Any]:
    """One question to the issuer: a line of JSON there, a line of JSON back. Errors come back as they were raised."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(socket_path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except OSError as error:
        line, why = b"", str(error)
    else:
        why = "it hung up"
    if not line:
        raise Unavailable("E006", "the issuer does not answer", where=str(socket_path), why=why, fix="tulle status")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise from_document(answer["error"])
    return answer


def _well_formed(claims: dict[str, Any]) -> dict[str, Any]:
    teams, act = claims.setdefault("teams", []), claims.get("act")
    good = bool(claims["sub"]) and isinstance(teams, list) and all(isinstance(team, str) for team in teams)
    actor = act.get("sub") if isinstance(act, Mapping) else act
    if not good or not (act is None or isinstance(actor, str)) or isinstance(act, str):
        raise _refused("its claims are not as they should be")
    return claims


def _refused(why: str) -> Unidentified:
    return Unidentified("E311", "the token is not accepted", why=why, fix=SIGN_IN_FIX)


def _reason(error: Exception) -> str:
    reasons = {
        "ExpiredSignatureError": "it has expired",
        "InvalidAudienceError": "it was made for another mesh",
        "InvalidIssuerError": "it comes from another issuer",
        "ImmatureSignatureError": "it is dated in the future",
        "MissingRequiredClaimError": "a claim is missing",
    }
    return reasons.get(type(error).__name__, "it cannot be read, or its signature is wrong")
