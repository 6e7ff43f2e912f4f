"""Tokens: minted for this mesh only, and refused for every known trick."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tulle.errors import Unidentified
from tulle.utility_plane.identities import Verifier, issuer_of
from tulle.utility_plane.issuer import Issuer

MESH = "m-1a2b3c"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer", MESH)


@pytest.fixture
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(issuer.folder / "jwks.json", issuer_of(MESH), MESH)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": issuer_of(MESH), "aud": MESH, "sub": "person:ann", "iat": now, "exp": now + 60}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def forged(issuer: Issuer, key: Any = None, alg: str = "EdDSA", **headers: Any) -> str:
    """A token with the issuer's own key unless told otherwise, with any header."""
    base = {"typ": "at+jwt", "kid": issuer.kid}
    return jwt.encode(claims(), key or issuer._key, algorithm=alg, headers=base | headers)


def signed(issuer: Issuer, **changes: Any) -> str:
    return jwt.encode(claims(**changes), issuer._key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": issuer.kid})


def refused(verifier: Verifier, token: str | None) -> Unidentified:
    with pytest.raises(Unidentified) as caught:
        verifier.verify(token)
    assert "tulle token" in caught.value.fix
    return caught.value


def test_a_minted_token_says_who_it_speaks_for(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.mint("person:ann", ("weather", "fleet"), 60, act="product:punctuality/daily")
    found = verifier.verify(token)
    assert found["sub"] == "person:ann"
    assert found["teams"] == ["weather", "fleet"]
    assert found["act"] == {"sub": "product:punctuality/daily"}
    assert found["exp"] == pytest.approx(time.time() + 60, abs=2)


def test_no_token_is_told_how_to_get_one(verifier: Verifier) -> None:
    for nothing in (None, ""):
        error = refused(verifier, nothing)
        assert error.code == "E310"
        assert error.fix.startswith('curl -H "Authorization: Bearer $(tulle token)"')


def test_the_key_is_private_and_kept(issuer: Issuer) -> None:
    assert (issuer.folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert Issuer(issuer.folder, MESH).kid == issuer.kid
    published = json.loads((issuer.folder / "jwks.json").read_text())
    assert [set(key) for key in published["keys"]] == [{"kty", "crv", "use", "alg", "kid", "x"}]


def _none(issuer: Issuer) -> str:
    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': issuer.kid})}.{part(claims())}."


def _tampered(issuer: Issuer) -> str:
    head, _, signature = signed(issuer).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="person:bob")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def _public_as_secret(issuer: Issuer) -> str:
    published = json.loads((issuer.folder / "jwks.json").read_text())["keys"][0]["x"]
    return forged(issuer, published.encode(), "HS256")


def _jwk(issuer: Issuer) -> str:
    return forged(issuer, Ed25519PrivateKey.generate(), jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"})


TRICKS = {
    "alg none": _none,
    "the public key as a shared secret": _public_as_secret,
    "another payload": _tampered,
    "another key under the same name": lambda issuer: forged(issuer, Ed25519PrivateKey.generate()),
    "a key of its own": _jwk,
    "keys from elsewhere": lambda issuer: forged(issuer, jku="http://127.0.0.1:1/jwks.json"),
    "a critical extension": lambda issuer: forged(issuer, crit=["exp"]),
    "an unknown key": lambda issuer: forged(issuer, kid="../../key.pem"),
    "a key without a name": lambda issuer: forged(issuer, kid=""),
    "an id token": lambda issuer: forged(issuer, typ="JWT"),
    "another issuer": lambda issuer: signed(issuer, iss="https://elsewhere"),
    "another mesh": lambda issuer: signed(issuer, aud="m-other"),
    "several meshes": lambda issuer: signed(issuer, aud=[MESH, "m-other"]),
    "expired": lambda issuer: signed(issuer, exp=int(time.time()) - 45),
    "issued in the future": lambda issuer: signed(issuer, iat=int(time.time()) + 300),
    "no end": lambda issuer: signed(issuer, exp=None),
    "no subject": lambda issuer: signed(issuer, sub=None),
    "no beginning": lambda issuer: signed(issuer, iat=None),
    "teams that are no list": lambda issuer: signed(issuer, teams="*"),
    "an actor that is no text": lambda issuer: signed(issuer, act={"sub": 7}),
    "an actor without a shape": lambda issuer: signed(issuer, act="service:x"),
    "garbage": lambda _: "garbage",
    "half": lambda issuer: signed(issuer)[:60],
    "a book": lambda _: "a" * 100_000,
}


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_every_known_trick_is_refused(issuer: Issuer, verifier: Verifier, trick: Any) -> None:
    assert refused(verifier, trick(issuer)).code == "E311"


def test_clocks_may_differ_a_little(issuer: Issuer, verifier: Verifier) -> None:
    now = int(time.time())
    assert verifier.verify(signed(issuer, exp=now - 25))["sub"] == "person:ann"
    assert verifier.verify(signed(issuer, iat=now + 25))["sub"] == "person:ann"


def test_a_new_key_is_found_by_itself(tmp_path: Path, issuer: Issuer, verifier: Verifier) -> None:
    verifier.verify(issuer.mint("person:ann"))
    (issuer.folder / "key.pem").unlink()
    renewed = Issuer(issuer.folder, MESH)
    assert renewed.kid != issuer.kid
    assert verifier.verify(renewed.mint("person:ann"))["sub"] == "person:ann"
    assert refused(verifier, issuer.mint("person:ann")).code == "E311"


def test_without_published_keys_nothing_is_accepted(tmp_path: Path, issuer: Issuer) -> None:
    verifier = Verifier(tmp_path / "nowhere.json", issuer_of(MESH), MESH)
    assert refused(verifier, issuer.mint("person:ann")).code == "E311"
