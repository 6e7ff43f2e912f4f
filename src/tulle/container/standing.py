"""Which expectations the rows served now do not meet: asked again after every change, not remembered from a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tulle.container.parts import Condition, Parts, shape_of
from tulle.errors import TulleError
from tulle.formats.questions import readable_columns
from tulle.product.manifest import Expectation, Output
from tulle.times import Moment

NAMED = 3
"""So many facts are named; the rest is a number."""


def look_again(parts: Parts, condition: Condition) -> None:
    """Brings the product's warnings up to what is published now. Where they cannot be asked for, the known ones stay:
    what has been published has been published.
    """
    try:
        found = [warning for output in parts.manifest.outputs for warning in _of_output(parts, output)]
    except TulleError as problem:
        parts.journal.say("warnings not renewed", "error", **problem.as_document())
        return
    condition.warnings = tuple(found)


def _of_output(parts: Parts, output: Output) -> list[str]:
    rules = [e for e in output.expectations if e.on_failure == "warn"]
    if not rules or not parts.log.head():
        return []
    counts = ", ".join(f'count(*) FILTER (WHERE NOT ({e.rule})) AS "{number}"' for number, e in enumerate(rules))
    (row,) = _ask(parts, output, f'SELECT {counts} FROM "{output.table}"')
    return [_warning(parts, output, rule, row[str(n)]) for n, rule in enumerate(rules) if row[str(n)]]


def _warning(parts: Parts, output: Output, rule: Expectation, count: int) -> str:
    identity = ", ".join(f'"{name}"' for name in shape_of(output).identity)
    query = f'SELECT {identity} FROM "{output.table}" WHERE NOT ({rule.rule}) ORDER BY ALL LIMIT {NAMED}'
    named = "; ".join(_fact(row) for row in _ask(parts, output, query))
    rows = "1 row does" if count == 1 else f"{count:,} rows do"
    more = "; …" if count > NAMED else ""
    return f"{output.table}: {rows} not meet {rule.rule} ({named}{more})"


def _fact(row: dict[str, Any]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in row.items() if value is not None)


def _text(value: object) -> str:
    return str(Moment.of(value)).replace(".000000Z", "Z") if isinstance(value, datetime) else str(value)


def _ask(parts: Parts, output: Output, query: str) -> list[dict[str, Any]]:
    columns = tuple(readable_columns(output))
    view = parts.log.select(output.table, parts.log.published(), columns=columns)
    rows: list[dict[str, Any]] = parts.workshop.query(query, {output.table: view}, [parts.place / "tables"]).to_pylist()
    return rows
