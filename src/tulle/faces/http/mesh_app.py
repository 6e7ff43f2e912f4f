"""The mesh plane's own door: search, lineage and the state of every product, from an index that it can lose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Address

from tulle.errors import NotThere, TulleError
from tulle.faces.http.guard import refusal, token_of
from tulle.formats.routes import MESH_ROUTES

Handler = Callable[[Request], Awaitable[Response]]


class Index(Protocol):
    """What the mesh plane has heard from products' own ports."""

    def search(self, words: str) -> Mapping[str, Any]: ...

    def lineage(self, name: str | None = None) -> Mapping[str, Any]: ...

    def status(self) -> Mapping[str, Any]: ...


def mesh_app(index: Index, verify: Callable[[str | None], Mapping[str, Any]]) -> Starlette:
    """The application of the mesh plane's door."""
    handlers = mesh_handlers(index, verify)
    routes = [Address(route.path, handlers[route.name], methods=[route.method]) for route in MESH_ROUTES]
    return Starlette(routes=routes, exception_handlers={TulleError: _told, HTTPException: _unknown})


def mesh_handlers(index: Index, verify: Callable[[str | None], Mapping[str, Any]]) -> dict[str, Handler]:
    """What answers each route, by its name in the table."""

    def signed_in(make: Callable[[Request], Mapping[str, Any]]) -> Handler:
        async def answer(request: Request) -> Response:
            verify(token_of(request))
            return JSONResponse(await anyio.to_thread.run_sync(make, request))

        return answer

    def name_of(request: Request) -> str:
        return f"{request.path_params['domain']}/{request.path_params['product']}"

    return {
        "search": signed_in(lambda request: index.search(request.query_params.get("q", ""))),
        "lineage": signed_in(lambda _: index.lineage()),
        "lineage_of": signed_in(lambda request: index.lineage(name_of(request))),
        "mesh_status": signed_in(lambda _: index.status()),
    }


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, TulleError)
    return refusal(request, error)


async def _unknown(request: Request, _: Exception) -> Response:
    return refusal(request, NotThere("E404", f"no such address: {request.method} {request.url.path}"))
