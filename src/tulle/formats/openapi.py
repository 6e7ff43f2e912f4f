"""The description of the routes in the OpenAPI 3.1 standard, written from the one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tulle.errors import KINDS
from tulle.formats.routes import ARROW, CSV, HTML, JSON, SSE, Field, Parameter, Route

_ERRORS = {
    "400": "The words of the call are off",
    "401": "Nobody is signed in, or the token is bad",
    "403": "Policy said no",
    "404": "No such product, port, column or moment",
    "503": "Try again: something is starting, full or away",
}
_PORT_MEANINGS = {
    "discovery": "What the product is",
    "output": "Its data",
    "observability": "How it is doing",
    "control": "Changing what it says",
    "input": "What it takes in",
    "mesh": "The mesh as a whole",
}
_WHERE = {"oneOf": [{"type": "object"}, {"type": "string"}]}
_TEXT = {"type": "string"}

SCHEMAS: dict[str, Any] = {
    "Document": {"description": "A JSON document"},
    "Answer": {
        "type": "object",
        "required": ["stamp", "rows"],
        "properties": {
            "stamp": {"$ref": "#/components/schemas/Stamp"},
            "rows": {"type": "array", "items": {"type": "object"}},
        },
    },
    "Stamp": {
        "type": "object",
        "description": "What every answer carries besides its rows",
        "properties": {
            "port": {**_TEXT, "description": "The port that answered"},
            "moment": {**_TEXT, "format": "date-time", "description": "The processing time it was read at"},
            "provenance": {"description": "Per ancestor, the oldest and newest moment it was reached by"},
            "digest": {**_TEXT, "description": "An order-free digest of the rows"},
            "rows": {"type": "integer"},
            "contract": {**_TEXT, "description": "The version of the port's contract"},
            "warnings": {"type": "array", "items": _TEXT},
        },
    },
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "kind", "what"],
                "properties": {
                    "code": {**_TEXT, "pattern": "^E[0-9]{3}$"},
                    "kind": {"enum": sorted(KINDS)},
                    "what": _TEXT,
                    "where": _TEXT,
                    "why": _TEXT,
                    "fix": _TEXT,
                },
            }
        },
    },
}


def openapi(routes: Sequence[Route], mesh_id: str, address: str) -> dict[str, Any]:
    """The OpenAPI document of `routes`, served at `address`."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"The data mesh {mesh_id}",
            "version": "1",
            "description": "Every product has five ports: discovery, input, output, observability and control.",
        },
        "servers": [{"url": address}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": name, "description": text} for name, text in _PORT_MEANINGS.items()],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "responses": _responses(), "securitySchemes": _SECURITY},
    }


_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "`tulle token` prints one"},
    "session": {"type": "apiKey", "in": "cookie", "name": "tulle_session", "description": "Set by a sign-in link"},
}


def _responses() -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {f"Error{status}": {"description": text, "content": content} for status, text in _ERRORS.items()}


def _operation(route: Route) -> dict[str, Any]:
    content = {media: {"schema": _schema(media, route.answers.schema)} for media in route.answers.media}
    statuses = ("404", "503") if route.public else tuple(_ERRORS)
    refused = {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}
    operation = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.port],
        "parameters": [_parameter(parameter) for parameter in route.parameters],
        "responses": {"200": {"description": route.answers.meaning, "content": content}, **refused},
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _body(route.body)}}}
    if route.public:
        operation["security"] = []
    return operation


def _schema(media: str, name: str) -> dict[str, Any]:
    if media in (CSV, HTML, SSE, "text/css"):
        return {"type": "string"}
    return {} if media == ARROW or media.startswith("image/") else {"$ref": f"#/components/schemas/{name}"}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.meaning,
        "required": parameter.where == "path",
        "schema": {"type": parameter.kind},
    }
    if parameter.example is not None:
        document["example"] = parameter.example
    return document


def _body(fields: Sequence[Field]) -> dict[str, Any]:
    properties = {
        field.name: {**(_WHERE if field.kind == "where" else {"type": field.kind}), "description": field.meaning}
        for field in fields
    }
    required = [field.name for field in fields if field.required]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }
