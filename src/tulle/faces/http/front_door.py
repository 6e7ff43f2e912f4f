"""The front door: the one known port of a mesh. It keeps nothing: every question is passed on to a product's own door.

It finds doors through names, gives a browser's session the form of a token, and answers by itself only for what belongs
to the mesh as a whole: the landing page, the description of all routes, the issuer's public keys, names.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route as Address
from starlette.types import Receive, Scope, Send

from tulle.errors import CODES, NotThere, TulleError, Unidentified, UsageError, lost_product, nearest
from tulle.faces.http.guard import SESSION, SameHost, page, refusal, token_of, wants_page
from tulle.faces.http.passing import Passed, away, client
from tulle.faces.portal import art, pages
from tulle.faces.portal.gathered import gather_product, gather_products
from tulle.formats.openapi import openapi
from tulle.formats.routes import FRONT_ROUTES, ROUTES

MESH_PLANE = "_mesh/plane"
SESSION_SECONDS = 43_200
_OPENAPI = "/openapi.json"


class Names(Protocol):
    """Where doors are: from `domain/product` to a record with `door`."""

    def resolve(self, name: str) -> Mapping[str, Any] | None: ...

    def all(self) -> Mapping[str, Mapping[str, Any]]: ...


@dataclass(frozen=True)
class House:
    """What the front door is told about its mesh. `verify` raises `Unidentified`; `redeem` turns a code to a token."""

    mesh_id: str
    address: str
    names: Names
    verify: Callable[[str | None], Mapping[str, Any]]
    redeem: Callable[[str], str]
    jwks: Path
    issuer: str

    @property
    def port(self) -> int:
        return httpx.URL(self.address).port or 80


Handler = Callable[[Request], Awaitable[Response]]


class FrontDoor:
    """The handlers, by the names of the route table."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.connections = client()

    def handlers(self) -> dict[str, Handler]:
        """What answers each route of the front door itself."""
        return {
            "landing": self.landing,
            "sign_in": self.sign_in,
            "favicon": self.favicon,
            "style": self.style,
            "openapi": self.openapi,
            "discovery_document": self.discovery_document,
            "jwks": self.jwks,
            "explain_all": self.explain,
            "explain": self.explain,
            "names": self.names,
            "name": self.name,
        }

    async def landing(self, request: Request) -> Response:
        """The page at the printed address."""
        token = token_of(request)
        try:
            who = self.house.verify(token)
        except Unidentified:
            return page(pages.landing(self.house.mesh_id, self.house.address, None, []))
        products = await gather_products(self.connections, self.house.names.all(), str(token))
        return page(pages.landing(self.house.mesh_id, self.house.address, str(who["sub"]), products))

    async def sign_in(self, request: Request) -> Response:
        """Turns a one-time link into a session. The code leaves the address bar at once."""
        token = await anyio.to_thread.run_sync(self.house.redeem, request.path_params["code"])
        answer = RedirectResponse("/", 303, {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
        answer.set_cookie(SESSION, token, max_age=SESSION_SECONDS, httponly=True, samesite="lax", path="/")
        return answer

    async def favicon(self, _: Request) -> Response:
        return Response(art.MARK, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})

    async def style(self, _: Request) -> Response:
        return Response(art.STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(openapi(ROUTES, self.house.mesh_id, self.house.address))

    async def discovery_document(self, _: Request) -> Response:
        """Where an OpenID Connect library finds the keys. Nothing mints over HTTP: there are no other endpoints."""
        document = {
            "issuer": self.house.issuer,
            "jwks_uri": f"{self.house.address}/.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "subject_types_supported": ["public"],
            "response_types_supported": ["none"],
        }
        return JSONResponse(document)

    async def jwks(self, _: Request) -> Response:
        keys = await anyio.Path(self.house.jwks).read_text("utf-8")
        return JSONResponse(json.loads(keys), headers={"Cache-Control": "max-age=60"})

    async def explain(self, request: Request) -> Response:
        """What a code means; every code where none is named."""
        code = request.path_params.get("code", "").upper()
        if code and code not in CODES:
            raise NotThere("E404", f'no error code "{code}"', why=nearest(code, CODES), fix="tulle explain")
        if wants_page(request):
            return page(pages.explanations(code))
        chosen = [code] if code else CODES
        return JSONResponse({c: {"title": CODES[c].title, "text": CODES[c].text} for c in chosen})

    async def names(self, request: Request) -> Response:
        self.house.verify(token_of(request))
        return JSONResponse(self.house.names.all())

    async def name(self, request: Request) -> Response:
        self.house.verify(token_of(request))
        return JSONResponse(self._record(request))

    async def described(self, request: Request) -> Response | None:
        """A product's page, where a browser asks for the product itself."""
        name = product_of(request)
        if request.url.path.strip("/") != name or not wants_page(request):
            return None
        token = token_of(request)
        who = self.house.verify(token)
        known = await gather_product(self.connections, name, str(self._record(request)["door"]), str(token))
        return page(pages.product(self.house.address, str(who["sub"]), known))

    def door_of(self, request: Request) -> str:
        """The door that a request is for. Raises `NotThere` E404 with the nearest names, `Unavailable` E006."""
        if request.url.path.split("/")[1] in ("search", "lineage", "mesh"):
            record = self.house.names.resolve(MESH_PLANE)
            if record is None:
                raise away("/the mesh plane")
            return str(record["door"])
        return str(self._record(request)["door"])

    def _record(self, request: Request) -> Mapping[str, Any]:
        name = product_of(request)
        record = self.house.names.resolve(name)
        if record is None:
            # Whoever is not signed in does not learn which products there are.
            self.house.verify(token_of(request))
            raise lost_product(name, self.house.names.all())
        if not record["door"]:
            raise away(f"/{name}")
        return record


class PassOn:
    """Where every request goes that the front door does not answer itself."""

    def __init__(self, front: FrontDoor) -> None:
        self.front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer: Any = await self.front.described(request)
        if answer is None:
            answer = Passed(self.front.connections, request, self.front.door_of(request), token_of(request))
        await answer(scope, receive, send)


def front_door(house: House) -> SameHost:
    """The application of the front door."""
    front = FrontDoor(house)
    handlers = front.handlers()
    own = [Address(route.path, handlers[route.name], methods=[route.method]) for route in FRONT_ROUTES]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with front.connections:
            yield

    app = Starlette(routes=own, exception_handlers={TulleError: _told, HTTPException: _told_http}, lifespan=lifespan)
    app.router.default = PassOn(front)
    return SameHost(app, house.port)


def product_of(request: Request) -> str:
    """`domain/product` of the path. Below /names the two words come later."""
    words = [word for word in request.url.path.split("/") if word]
    if words[:1] == ["names"]:
        words = words[1:]
    return "/".join(words[:2])


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, TulleError)
    return refusal(request, error)


async def _told_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = UsageError("E010", f"{request.method} {request.url.path}: {error.detail.lower()}", fix=_OPENAPI)
    answer = refusal(request, told)
    answer.status_code = error.status_code
    return answer
