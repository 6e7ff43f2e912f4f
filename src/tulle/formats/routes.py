"""The one table of HTTP routes. The doors build their routing from it, and `openapi` describes them from it.

`ROUTES` is in matching order: a fixed word (`/clock`) stands before the name that would swallow it (`/{port}`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["GET", "POST"]
Port = Literal["discovery", "output", "observability", "control", "input", "mesh"]
Door = Literal["product", "mesh plane", "front door"]

JSON, ARROW, CSV = "application/json", "application/vnd.apache.arrow.stream", "text/csv"
SSE, HTML = "text/event-stream", "text/html"


@dataclass(frozen=True)
class Parameter:
    """Something a request may say in its path or query. `kind` is a JSON type."""

    name: str
    meaning: str
    where: Literal["path", "query", "header"] = "query"
    kind: Literal["string", "integer", "boolean", "number"] = "string"
    example: str | int | bool | None = None


@dataclass(frozen=True)
class Field:
    """One member of a JSON body."""

    name: str
    meaning: str
    kind: Literal["string", "integer", "boolean", "object", "where"] = "string"
    required: bool = False


@dataclass(frozen=True)
class Good:
    """What comes back when it goes well: in which media types, and as which schema of the components."""

    meaning: str
    media: tuple[str, ...] = (JSON,)
    schema: str = "Document"


@dataclass(frozen=True)
class Route:
    """One address. `name` is what a door maps to its handler; `door` says whose door answers it."""

    method: Method
    path: str
    port: Port
    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    answers: Good = Good("A JSON document")
    body: tuple[Field, ...] = ()
    door: Door = "product"
    public: bool = False
    """Whether it answers without a token."""


_PRODUCT = (
    Parameter("domain", "The domain that owns the product", "path", example="weather"),
    Parameter("product", "The product", "path", example="hourly"),
)
_PORT = Parameter("port", "An output port, with or without its major version: rows or rows@1", "path", example="rows")
_TABLE_PORT = Parameter(
    "port", "An output port, with or without major version and format: rows, rows@1, rows.csv", "path", example="rows"
)
_AS_OF = Parameter("as_of", "Processing time: what the product had published by then", example="2026-01-31T12:00Z")
_AT = Parameter("at", "Actual time: an instant or a period, as 2013-02-12, 2013-06 or A..B", example="2013-02-12")
_SINCE = Parameter("since", "The moment after which changes are asked for; nothing: from the beginning")
_LIMIT = Parameter("limit", "At most so many rows", kind="integer", example=5)
_TAIL = Parameter("limit", "At most so many entries, the newest", kind="integer", example=20)
_FILTER = (
    "Any column is a filter too: column=value, column__gt, __gte, __lt, __lte, __ne, column__in=a,b and"
    " column__null=true. A leading underscore (_limit) always means the parameter."
)
_COLUMNS = Parameter("columns", "Only these columns, comma-separated. " + _FILTER)
_ORDER = Parameter("order", "Sort by these columns, comma-separated; - before one reverses it, key means the key")
_UNTIL = Parameter("until", "The moment up to which changes are asked for; nothing: the latest")
_EVERY = Parameter("every", "1: every change in between; else the net change between the two moments", kind="boolean")
_FOLLOW = Parameter("follow", "1: stay and send changes as server-sent events", kind="boolean")
_LAST_ID = Parameter("Last-Event-ID", "The id of the last event seen: the stream goes on after it", "header")
_SEEN = Parameter("seen", "domain/product@moment: answer once that moment has reached this product")
_WAIT = Parameter("wait", "How many seconds to wait for it", kind="number")
_ROWS = Good("Rows, with the stamp of the answer in the headers or around them", (JSON, ARROW, CSV), "Answer")
_STREAM = Good("Server-sent events whose id is a moment", (SSE,))
_P = "/{domain}/{product}"
_RETRACT = (
    Field("port", "The output port; needed where the product has several"),
    Field("where", "Which facts: an object of column and value, or an SQL condition", "where", True),
    Field("reason", "Why; consumers read it"),
    Field("expect", "How many facts it must match", "integer"),
    Field("preview", "Only say what it would match", "boolean"),
)
_LIFT = (_RETRACT[0], _RETRACT[1], _RETRACT[2], _RETRACT[4])
_RUN = (
    Field("full", "Recompute everything", "boolean"),
    Field("parked", "Try the parked batches again", "boolean"),
    Field("since", "Go back to the inputs as consumed after this moment"),
)
_QUERY = (
    Field("sql", "One SELECT over this product's ports", required=True),
    Field("as_of", _AS_OF.meaning),
    Field("at", _AT.meaning),
)


def _product(
    port: Port,
    tail: str,
    name: str,
    summary: str,
    *parameters: Parameter,
    answers: Good = Good("A JSON document"),
    method: Method = "GET",
    body: tuple[Field, ...] = (),
) -> Route:
    return Route(method, _P + tail, port, name, summary, (*_PRODUCT, *parameters), answers, body)


def _front(
    path: str, name: str, summary: str, *parameters: Parameter, media: str = JSON, public: bool = False
) -> Route:
    answers = Good("A page" if media == HTML else "A JSON document", (media,))
    return Route("GET", path, "mesh", name, summary, parameters, answers, door="front door", public=public)


def _plane(path: str, name: str, summary: str, *parameters: Parameter) -> Route:
    return Route("GET", path, "mesh", name, summary, parameters, door="mesh plane")


_FRONT = (
    _front("/", "landing", "What this mesh is, its products and how to read them", media=HTML, public=True),
    _front(
        "/in/{code}",
        "sign_in",
        "Sign in with a one-time link",
        Parameter("code", "The one-time code", "path"),
        media=HTML,
        public=True,
    ),
    _front("/favicon.svg", "favicon", "The mesh's mark", media="image/svg+xml", public=True),
    _front("/style.css", "style", "How the pages look", media="text/css", public=True),
    _front("/openapi.json", "openapi", "This description", public=True),
    _front("/.well-known/openid-configuration", "discovery_document", "Where the issuer's keys are", public=True),
    _front("/.well-known/jwks.json", "jwks", "The public keys that tokens are signed with", public=True),
    _front("/explain", "explain_all", "Every error code", media=HTML, public=True),
    _front(
        "/explain/{code}",
        "explain",
        "What an error code means and how to mend it",
        Parameter("code", "An error code", "path", example="E201"),
        media=HTML,
        public=True,
    ),
    _front("/names", "names", "Every registered product and where its door is"),
    _front("/names/{domain}/{product}", "name", "Where one product's door is", *_PRODUCT),
)
_MESH = (
    _plane("/search", "search", "Products that match words", Parameter("q", "Words, or nothing for all products")),
    _plane("/lineage", "lineage", "Which product is made from which, over the whole mesh"),
    _plane("/lineage/{domain}/{product}", "lineage_of", "What one product is made from, and what from it", *_PRODUCT),
    _plane("/mesh/status", "mesh_status", "The state of every product in one line each"),
)
_DISCOVERY = (
    _product("discovery", "", "describe", "The product's description", answers=Good("The description", (JSON, HTML))),
    _product("discovery", "/discovery/schema", "schema", "Columns of each output port: type, unit, meaning"),
    _product("discovery", "/discovery/sample", "sample", "A few rows of each output port"),
    _product("discovery", "/discovery/time", "time", "The temporal shape: what the two times are here"),
    _product("discovery", "/discovery/how", "how", "How to read it, in each mode"),
)
_OBSERVABILITY = (
    _product("observability", "/observability/status", "status", "Its state, and in one line why nothing happens"),
    _product("observability", "/observability/runs", "runs", "Its runs, newest first", _TAIL),
    _product(
        "observability",
        "/observability/runs/{id}",
        "run_record",
        "One run: inputs, rows, error",
        Parameter("id", "The run", "path"),
    ),
    _product("observability", "/observability/logs", "logs", "What its process and code said", _TAIL, _FOLLOW),
    _product("observability", "/observability/metrics", "metrics", "Numbers about its service"),
    _product("observability", "/observability/provenance", "provenance", "What it was made from", _SEEN, _WAIT),
    _product("observability", "/observability/decisions", "decisions", "Who asked for what, and the verdict", _TAIL),
    _product("observability", "/observability/ledger", "ledger", "Every publication, newest first", _TAIL),
)
_CONTROL = (
    _product(
        "control",
        "/control/retract",
        "retract",
        "Take back facts that entered the mesh here",
        method="POST",
        body=_RETRACT,
    ),
    _product("control", "/control/lift", "lift", "Lift a retraction: the facts stand again", method="POST", body=_LIFT),
    _product("control", "/control/run", "run", "Run again", method="POST", body=_RUN),
)
_INPUT = (
    _product("input", "/input", "inputs", "Its inputs and how far each has been consumed"),
    _product("input", "/input/parked", "parked", "Batches set aside, and why"),
)
_OUTPUT = (
    _product("output", "/clock", "clock", "The last published moment, and the moment that is safe to ask for"),
    _product(
        "output", "/announcements", "announcements", "One event per publication", _SINCE, _LAST_ID, answers=_STREAM
    ),
    _product("output", "/sql", "sql", "Answer one SELECT", method="POST", body=_QUERY, answers=_ROWS),
    _product(
        "output",
        "/{port}/changes",
        "changes",
        "What changed between two moments, or from now on",
        *(_PORT, _SINCE, _UNTIL, _EVERY, _FOLLOW, _LAST_ID),
        answers=Good("Changes: insert, correct, retract", (JSON, ARROW, SSE), "Answer"),
    ),
    _product(
        "output",
        "/{port}/history",
        "history",
        "Every version of the facts that the column filters match",
        *(_PORT, _COLUMNS, _LIMIT),
        answers=_ROWS,
    ),
    _product(
        "output",
        "/{port}",
        "read",
        "Rows as of the two times",
        *(_TABLE_PORT, _AS_OF, _AT, _COLUMNS, _ORDER, _LIMIT),
        answers=_ROWS,
    ),
)

ROUTES: tuple[Route, ...] = (*_FRONT, *_MESH, *_DISCOVERY, *_OBSERVABILITY, *_CONTROL, *_INPUT, *_OUTPUT)
"""Every route of a mesh, in matching order."""

PRODUCT_ROUTES = tuple(route for route in ROUTES if route.door == "product")
"""What a container's door answers."""

MESH_ROUTES = tuple(route for route in ROUTES if route.door == "mesh plane")
"""What the mesh plane's door answers."""

FRONT_ROUTES = tuple(route for route in ROUTES if route.door == "front door")
"""What the front door answers itself."""

RESERVED_DOMAINS = frozenset(
    route.path.split("/")[1] for route in ROUTES if route.door != "product" and route.path != "/"
)
"""First words of an address that belong to the mesh: no domain may have such a name."""

RESERVED_PORTS = frozenset(
    word for route in PRODUCT_ROUTES for word in route.path.split("/")[3:4] if not word.startswith("{")
)
"""Third words of an address that are not output ports: no output port may have such a name."""
