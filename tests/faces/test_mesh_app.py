"""The mesh plane's door: every route of its own, for those who are signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tulle.errors import NotThere
from tulle.faces.http.mesh_app import mesh_app, mesh_handlers
from tulle.formats.routes import MESH_ROUTES
from tulle.utility_plane.identities import missing


class Heard:
    """An index that has heard of one product."""

    def search(self, words: str) -> Mapping[str, Any]:
        return {"found": [{"product": "weather/hourly"}], "query": words}

    def lineage(self, name: str | None = None) -> Mapping[str, Any]:
        if name not in (None, "weather/hourly"):
            raise NotThere("E404", f'no product "{name}"')
        return {"edges": [], "product": name}

    def status(self) -> Mapping[str, Any]:
        return {"products": []}


def verify(token: str | None) -> Mapping[str, Any]:
    if token != "good":
        raise missing()
    return {"sub": "person:ann"}


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask() -> Ask:
    """Asks the application, signed in unless a header says otherwise."""

    def get(path: str, authorization: str = "Bearer good") -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(mesh_app(Heard(), verify))
            async with httpx.AsyncClient(transport=transport, base_url="http://mesh") as client:
                return await client.get(path, headers={"Authorization": authorization})

        return asyncio.run(once())

    return get


def test_every_route_has_a_handler() -> None:
    assert set(mesh_handlers(Heard(), verify)) == {route.name for route in MESH_ROUTES}


def test_it_answers_from_the_index(ask: Ask) -> None:
    assert ask("/search?q=wind%20speed").json()["query"] == "wind speed"
    assert ask("/lineage").json()["product"] is None
    assert ask("/lineage/weather/hourly").json()["product"] == "weather/hourly"
    assert ask("/mesh/status").json() == {"products": []}


def test_errors_are_told_as_everywhere(ask: Ask) -> None:
    assert ask("/lineage/no/such").json()["error"]["code"] == "E404"
    assert ask("/nowhere").json()["error"]["code"] == "E404"


def test_strangers_get_nothing(ask: Ask) -> None:
    for route in MESH_ROUTES:
        answer = ask(route.path.format(domain="weather", product="hourly"), authorization="")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "E310")
