from __future__ import annotations

import pytest

from tulle.client.sign_in import SignIn, expires, person
from tulle.errors import Unavailable, Unidentified


def test_a_token_is_fetched_once_and_kept(issuer):
    sign_in = SignIn(issuer.path)
    assert sign_in() == sign_in()
    assert issuer.asked == [{"op": "mint", "sub": person(), "teams": ["*"], "ttl": 3_600}]


def test_a_token_is_renewed_before_it_expires(issuer):
    issuer.life = 50
    sign_in = SignIn(issuer.path)
    assert sign_in() != sign_in()


def test_a_product_asks_as_itself_and_is_in_no_team(issuer):
    SignIn(issuer.path, "product:weather/hourly")()
    assert issuer.asked[0]["sub"] == "product:weather/hourly"
    assert issuer.asked[0]["teams"] == []


def test_a_given_token_is_used_as_it_is(issuer):
    sign_in = SignIn(issuer.path, token="given")
    assert sign_in() == "given"
    assert not sign_in.forget()
    assert issuer.asked == []


def test_the_issuer_s_refusal_is_the_same_error_here(issuer):
    with pytest.raises(Unidentified) as refusal:
        SignIn(issuer.path, "nobody")()
    assert refusal.value.code == "E310"


def test_without_an_issuer_or_with_a_dead_one(tmp_path):
    with pytest.raises(Unidentified) as nobody:
        SignIn(None)()
    assert "TULLE_TOKEN" in nobody.value.fix
    with pytest.raises(Unavailable):
        SignIn(tmp_path / "none.sock")()


def test_when_a_token_expires_is_read_without_trust():
    assert expires("a.eyJleHAiOjV9.c") == 5
    for odd in ("", "a.b.c", "a.e30.c", "a.bnVsbA.c"):
        assert expires(odd) == 0
