"""Manifests and tables for tests, in few words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tulle.product.manifest import (
    ActualTime,
    Column,
    Expectation,
    FileFormat,
    FileInput,
    Input,
    Limits,
    Manifest,
    OnFailure,
    Output,
    ProductInput,
    Scope,
    Transform,
)
from tulle.times import Moment, parse_moment
from tulle.transformation.columns import ARROW
from tulle.uris import ProductName, parse_port

ARRIVED = parse_moment("2026-01-01T12:00Z")


def columns(**types: str) -> tuple[Column, ...]:
    """Columns by name and type; a type with `!` is required."""
    return tuple(Column(name, kind.rstrip("!"), required=kind.endswith("!")) for name, kind in types.items())


def output(
    types: dict[str, str],
    key: str = "id",
    time: ActualTime | str = "seen",
    name: str = "rows",
    rules: tuple[Expectation, ...] = (),
) -> Output:
    actual = ActualTime(column=time) if isinstance(time, str) else time
    return Output(name, "1.0.0", "events", tuple(key.split()), actual, columns(**types), rules)


def rule(text: str, on_failure: OnFailure, name: str = "") -> Expectation:
    return Expectation(text, on_failure, name)


def files(types: dict[str, str], **form: Any) -> FileInput:
    return FileInput("drop", "drop", FileFormat(columns=tuple(types.items()), **form))


def follows(name: str) -> ProductInput:
    return ProductInput(name, parse_port(f"upstream/{name}"))


def product(
    inputs: tuple[Input, ...],
    *outputs: Output,
    transform: Transform | None = None,
    scope: Scope = (),
    limits: Limits | None = None,
) -> Manifest:
    name, purpose = ProductName("shop", "orders"), "to be tested"
    transform, limits = transform or Transform(), limits or Limits(512, 20)
    return Manifest(name, "aggregate", "shop", purpose, inputs, transform, outputs, scope, limits=limits)


def table(types: dict[str, str], *rows: tuple[Any, ...]) -> pa.Table:
    """Rows as a table of declared types; moments may be given as ISO texts."""
    schema = pa.schema([(name, ARROW[kind.rstrip("!")]) for name, kind in types.items()])
    plain = [
        {
            field.name: _instant(value) if field.type == ARROW["timestamp"] else value
            for field, value in zip(schema, row, strict=True)
        }
        for row in rows
    ]
    return pa.Table.from_pylist(plain, schema=schema)


def instant(text: str) -> datetime:
    return parse_moment(text).as_datetime().astimezone(UTC)


def _instant(value: Any) -> Any:
    return instant(value) if isinstance(value, str) else value


def moments(*texts: str) -> list[Moment]:
    return [parse_moment(text) for text in texts]
