"""Reading a request and writing a response: the same for every address of a door."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tulle.errors import NotThere, TulleError, UsageError
from tulle.formats.answers import MEDIA, answer_chunks, stamp_headers
from tulle.formats.routes import PRODUCT_ROUTES
from tulle.product.reading import Stamp

LARGEST_BODY = 1_000_000


def bearer(request: Request) -> str | None:
    """The token that a request carries, if any."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def refusal(error: TulleError) -> JSONResponse:
    """An error as every door says it."""
    headers = {"retry-after": "1"} if error.retryable else {}
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": error.as_document()}, error.http_status, headers)


def written(rows: pa.Table, stamp: Stamp, form: str) -> Response:
    """Rows and their stamp in the form asked for, streamed."""
    return StreamingResponse(answer_chunks(form, rows, stamp), media_type=MEDIA[form], headers=stamp_headers(stamp))


async def body_of(request: Request, known: set[str]) -> dict[str, Any]:
    """The JSON object that a request carries. Raises `UsageError` E011 for anything else, and for unknown members."""
    data = await request.body()
    if len(data) > LARGEST_BODY:
        raise UsageError("E011", f"the body is larger than {LARGEST_BODY:,} bytes")
    try:
        body = json.loads(data or b"{}")
    except ValueError as broken:
        raise UsageError("E011", "the body is no JSON", why=str(broken)) from None
    if not isinstance(body, dict):
        raise UsageError("E011", "the body is no JSON object")
    unknown = sorted(set(body) - known)
    if unknown:
        why = f"It takes {', '.join(sorted(known))}"
        raise UsageError("E011", f"unknown in the body: {', '.join(unknown)}", why=why)
    return body


def number(request: Request, name: str, default: float) -> float:
    """The number that a query parameter gives."""
    text = request.query_params.get(name)
    try:
        return float(text) if text else default
    except ValueError:
        raise UsageError("E011", f"{name} takes a number, not {text!r}") from None


def most(request: Request) -> int:
    """How many entries of a list are asked for."""
    return max(1, min(int(number(request, "limit", 50)), 10_000))


async def unknown_address(request: Request, _: Exception) -> Response:
    """What an address that no route has gets."""
    paths = sorted({row.path for row in PRODUCT_ROUTES})
    return refusal(NotThere("E404", f"no such address: {request.method} {request.url.path}", why="\n".join(paths)))
