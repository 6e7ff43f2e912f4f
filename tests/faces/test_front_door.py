"""The front door, over real sockets, before a product's door that is a small real application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tulle.faces.http.front_door import FrontDoor, House, front_door
from tulle.faces.http.serving import address_of, listen, server
from tulle.formats.routes import FRONT_ROUTES
from tulle.utility_plane.identities import Verifier, issuer_of
from tulle.utility_plane.issuer import Issuer
from tulle.utility_plane.names import MESH_PLANE, FolderNames, Record

MESH = "m-test"
EVIL = '<script>alert("x")</script>'
DESCRIPTION = {
    "product": "weather/hourly",
    "purpose": f"Hourly weather {EVIL}",
    "team": "weather",
    "readers": ["*"],
    "inputs": [{"name": "files", "kind": "files", "folder": "drop"}],
    "outputs": [
        {
            "port": "rows@1",
            "version": "1.0.0",
            "key": ["origin"],
            "columns": [{"name": "wind_speed", "type": "double", "unit": "mph", "meaning": "Wind"}],
            "expectations": [{"rule": "wind_speed between 0 and 200", "on_failure": "warn"}],
        }
    ],
}


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until `condition` holds, and not longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        threading.Event().wait(0.01)


@dataclass
class Product:
    """The state of the small product behind the front door."""

    left: threading.Event = field(default_factory=threading.Event)
    waiting_left: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    heard: list[Request] = field(default_factory=list)

    def app(self) -> Starlette:
        routes = [
            Route("/weather/hourly", self.describe),
            Route("/weather/hourly/observability/status", self.status),
            Route("/weather/hourly/observability/provenance", self.provenance),
            Route("/weather/hourly/discovery/sample", self.sample),
            Route("/weather/hourly/control/run", self.echo, methods=["POST"]),
            Route("/weather/hourly/rows/changes", self.changes),
            Route("/weather/hourly/rows", self.echo),
            Route("/search", self.echo),
        ]
        return Starlette(routes=routes)

    async def describe(self, request: Request) -> Response:
        self.heard.append(request)
        return JSONResponse(DESCRIPTION)

    async def status(self, _: Request) -> Response:
        return JSONResponse({"state": "Fresh", "reason": "", "published": "2026-01-31T12:00:00.000001Z"})

    async def sample(self, _: Request) -> Response:
        return JSONResponse({"rows@1": [{"origin": EVIL, "wind_speed": 10.4}]})

    async def echo(self, request: Request) -> Response:
        body = (await request.body()).decode()
        document = {"query": request.url.query, "token": request.headers.get("authorization"), "body": body}
        document |= {"cookie": request.headers.get("cookie"), "path": request.url.path}
        return JSONResponse(document, headers={"Tulle-Moment": "2026-01-31T12:00:00.000001Z"})

    async def changes(self, _: Request) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        try:
            yield "id: 1\ndata: one\n\n"
            await asyncio.to_thread(self.go_on.wait, 10)
            yield "id: 2\ndata: two\n\n"
            await asyncio.sleep(3600)
        finally:
            self.left.set()

    async def provenance(self, request: Request) -> Response:
        self.go_on.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.waiting_left.set()
        return JSONResponse({})


@contextlib.contextmanager
def running(make: Callable[[str], ASGIApp]) -> Iterator[str]:
    """Serves the application that `make` gives for an address, in a thread, and says where."""
    listening = listen(0)
    address = address_of(listening)
    served: uvicorn.Server = server(make(address))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        eventually(lambda: served.started)
        yield address
    finally:
        served.force_exit = served.should_exit = True
        thread.join(10)
        listening.close()


@dataclass
class Mesh:
    address: str
    issuer: Issuer
    names: FolderNames
    product: Product
    door: str

    def token(self, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.mint('person:ann', ('weather',))}", **more}

    def get(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return httpx.get(self.address + path, headers=headers, timeout=10, **more)


def record(door: str) -> Record:
    return {"uri": f"https://{MESH}/weather/hourly", "door": door, "stage": "serving", "pid": 1, "folder": "/x"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    tmp_path = tmp_path_factory.mktemp("mesh")
    issuer, names, product = Issuer(tmp_path / "issuer", MESH), FolderNames(tmp_path / "names"), Product()
    verifier = Verifier(tmp_path / "issuer" / "jwks.json", issuer_of(MESH), MESH)

    def make(address: str) -> ASGIApp:
        jwks = tmp_path / "issuer" / "jwks.json"
        return front_door(House(MESH, address, names, verifier.verify, issuer.redeem, jwks, issuer_of(MESH)))

    with running(lambda _: product.app()) as door, running(make) as address:
        yield Mesh(address, issuer, names, product, door)


@pytest.fixture
def mesh(served: Mesh) -> Iterator[Mesh]:
    """The one mesh of this module, as new."""
    for event in (served.product.left, served.product.waiting_left, served.product.go_on):
        event.clear()
    served.names.register("weather/hourly", record(served.door))
    served.names.remove(MESH_PLANE, 1)
    yield served
    served.product.go_on.set()


def error_of(answer: httpx.Response) -> dict[str, str]:
    error: dict[str, str] = answer.json()["error"]
    return error


def test_every_route_of_its_own_has_a_handler(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    house = House(MESH, "http://127.0.0.1:1", names, lambda _: {}, str, tmp_path, "")
    assert set(FrontDoor(house).handlers()) == {route.name for route in FRONT_ROUTES}


def test_it_passes_questions_and_answers_on_as_they_are(mesh: Mesh) -> None:
    answer = mesh.get("/weather/hourly/rows?origin=EWR&limit=5&x=a%2Fb", mesh.token())
    assert answer.status_code == 200
    assert answer.json()["query"] == "origin=EWR&limit=5&x=a%2Fb"
    assert answer.json()["token"].startswith("Bearer ey")
    assert answer.headers["tulle-moment"] == "2026-01-31T12:00:00.000001Z"


def test_a_session_becomes_a_token_and_goes_no_further(mesh: Mesh) -> None:
    token = mesh.issuer.mint("person:ann")
    answer = mesh.get("/weather/hourly/rows", {"Cookie": f"tulle_session={token}; other=secret"})
    assert answer.json()["token"] == f"Bearer {token}"
    assert answer.json()["cookie"] is None


def test_the_mesh_plane_is_found_by_its_own_name(mesh: Mesh) -> None:
    assert error_of(mesh.get("/search?q=wind", mesh.token()))["code"] == "E006"
    mesh.names.register(MESH_PLANE, record(mesh.door))
    assert mesh.get("/search?q=wind", mesh.token()).json()["query"] == "q=wind"


def test_events_come_one_by_one_and_leaving_is_noticed(mesh: Mesh) -> None:
    url = f"{mesh.address}/weather/hourly/rows/changes"
    with httpx.stream("GET", url, headers=mesh.token(), timeout=10) as answer:
        lines = answer.iter_lines()
        assert [next(lines), next(lines)] == ["id: 1", "data: one"]
        mesh.product.go_on.set()
        assert [next(lines), next(lines), next(lines)] == ["", "id: 2", "data: two"]
        assert not mesh.product.left.is_set()
    assert mesh.product.left.wait(10)


def test_leaving_before_the_answer_begins_is_noticed_too(mesh: Mesh) -> None:
    async def ask_and_leave() -> None:
        async with httpx.AsyncClient() as connections:
            url = f"{mesh.address}/weather/hourly/observability/provenance"
            task = asyncio.create_task(connections.get(url, headers=mesh.token()))
            await asyncio.to_thread(mesh.product.go_on.wait, 10)
            task.cancel()

    asyncio.run(ask_and_leave())
    assert mesh.product.waiting_left.wait(10)


def test_an_unknown_product_is_named_with_its_neighbours(mesh: Mesh) -> None:
    answer = mesh.get("/wether/hourly/rows", mesh.token())
    assert (answer.status_code, error_of(answer)["code"]) == (404, "E404")
    assert error_of(answer)["why"] == "Did you mean weather/hourly?"


def test_strangers_do_not_learn_names(mesh: Mesh) -> None:
    for path in ("/wether/hourly/rows", "/names", "/names/weather/hourly", "/names/no/such"):
        answer = mesh.get(path)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "E310")
        assert "tulle token" in error_of(answer)["fix"]
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_door_that_is_away_can_be_tried_again(mesh: Mesh) -> None:
    with contextlib.closing(listen(0)) as taken:
        free = address_of(taken)
    for door in (free, ""):
        mesh.names.register("weather/hourly", record(door))
        answer = mesh.get("/weather/hourly/rows", mesh.token())
        assert (answer.status_code, error_of(answer)["code"]) == (503, "E006")
        assert answer.headers["retry-after"] == "1"
    mesh.names.register("weather/hourly", record(mesh.door))
    assert mesh.get("/weather/hourly/rows", mesh.token()).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", "", "a@b"])
def test_other_names_for_this_machine_are_refused(mesh: Mesh, host: str) -> None:
    answer = mesh.get("/", {"Host": host})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "E013")


def test_its_own_names_are_accepted(mesh: Mesh) -> None:
    port = httpx.URL(mesh.address).port
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert mesh.get("/", {"Host": f"{host}:{port}"}).status_code == 200


def test_another_sites_form_changes_nothing(mesh: Mesh) -> None:
    session = {"Cookie": f"tulle_session={mesh.issuer.mint('person:ann')}"}
    url = f"{mesh.address}/weather/hourly/control/run"
    for origin in ({}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "null"}, {"Origin": "https://evil.example"}):
        assert httpx.post(url, headers=session | origin, json={}).status_code == 403
    assert httpx.post(url, headers=session | {"Origin": mesh.address}, json={"full": True}).json()["body"]
    assert httpx.post(url, headers=mesh.token(), json={"full": True}).json()["body"] == '{"full":true}'


def test_a_book_is_no_request(mesh: Mesh) -> None:
    answer = httpx.post(f"{mesh.address}/weather/hourly/control/run", headers=mesh.token(), content=b"x" * 5_000_000)
    assert (answer.status_code, error_of(answer)["code"]) == (400, "E011")


def test_it_describes_itself_and_its_issuer(mesh: Mesh) -> None:
    document = mesh.get("/openapi.json").json()
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    discovery = mesh.get("/.well-known/openid-configuration").json()
    assert discovery["issuer"] == issuer_of(MESH)
    keys = httpx.get(discovery["jwks_uri"]).json()["keys"]
    assert [key["kid"] for key in keys] == [mesh.issuer.kid]


def test_codes_are_explained_to_programs_and_people(mesh: Mesh) -> None:
    assert mesh.get("/explain/e201").json()["E201"]["title"] == "no such column"
    assert len(mesh.get("/explain").json()) > 20
    assert "<h1>E201: no such column</h1>" in mesh.get("/explain/E201", {"Accept": "text/html"}).text
    assert error_of(mesh.get("/explain/E999"))["code"] == "E404"


def test_a_wrong_method_is_said(mesh: Mesh) -> None:
    answer = httpx.post(f"{mesh.address}/openapi.json")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "E010")


PAGE = {"Accept": "text/html,application/xhtml+xml"}


def test_the_landing_page_says_how_to_sign_in(mesh: Mesh) -> None:
    answer = mesh.get("/", PAGE)
    assert answer.status_code == 200
    assert "tulle token --link" in answer.text
    assert "weather/hourly" not in answer.text


def test_a_link_signs_in_once(mesh: Mesh) -> None:
    code = mesh.issuer.code("person:ann", ("weather",))
    with httpx.Client(base_url=mesh.address, headers=PAGE, follow_redirects=True) as browser:
        answer = browser.get(f"/in/{code}")
        assert answer.url.path == "/"
        assert "signed in as person:ann" in answer.text
        assert "weather/hourly" in answer.text
        cookie = answer.history[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    again = mesh.get(f"/in/{code}", PAGE)
    assert again.status_code == 401
    assert "tulle token --link" in again.text


def test_pages_escape_what_they_are_given_and_run_nothing(mesh: Mesh) -> None:
    for path in ("/", "/weather/hourly"):
        answer = mesh.get(path, mesh.token() | PAGE)
        assert answer.status_code == 200
        assert "&lt;script&gt;" in answer.text
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_product_has_a_page_for_people_and_a_document_for_programs(mesh: Mesh) -> None:
    page = mesh.get("/weather/hourly", mesh.token() | PAGE).text
    for part in ("wind_speed", "mph", "between 0 and 200", "10.4", "tulle read weather/hourly", "Fresh"):
        assert part in page
    assert mesh.get("/weather/hourly", mesh.token()).json() == json.loads(json.dumps(DESCRIPTION))


def test_errors_are_pages_in_a_browser(mesh: Mesh) -> None:
    answer = mesh.get("/wether/hourly", mesh.token() | PAGE)
    assert answer.status_code == 404
    assert "Did you mean weather/hourly?" in answer.text
    assert mesh.get("/weather/hourly", PAGE).status_code == 401


def test_many_readers_follow_at_once(mesh: Mesh) -> None:
    async def first_lines() -> list[str]:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=20) as connections:

            async def one() -> str:
                url = f"{mesh.address}/weather/hourly/rows/changes"
                async with connections.stream("GET", url, headers=mesh.token()) as answer:
                    return await anext(answer.aiter_lines())

            return await asyncio.gather(*(one() for _ in range(40)))

    assert asyncio.run(first_lines()) == ["id: 1"] * 40
