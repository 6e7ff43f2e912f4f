"""The discovery port: what the product is, how its times lie, and how to read it in each mode."""

from __future__ import annotations

from typing import Any

from tulle.container.parts import Parts
from tulle.formats.description import describe, json_schema, sql_ddl
from tulle.product.manifest import Output


def description(parts: Parts) -> dict[str, Any]:
    """The whole description, one document; each part has an address of its own as well."""
    document = describe(parts.manifest, parts.mesh_id)
    document |= {"revision": parts.revision, "time": temporal_shape(parts), "how": how(parts)}
    return document


def schema(parts: Parts) -> dict[str, Any]:
    """Per output port: its columns, as JSON Schema and as SQL."""
    outputs = parts.manifest.outputs
    return {o.table: {"json_schema": json_schema(o), "sql": sql_ddl(o)} for o in outputs}


def temporal_shape(parts: Parts) -> dict[str, Any]:
    """Per output port: what its two times are, and how far each reaches."""
    return {o.table: _times(parts, o) for o in parts.manifest.outputs}


def how(parts: Parts) -> dict[str, Any]:
    """Per output port: how to read it from the command line, over HTTP, in Python and in SQL."""
    return {o.table: _modes(parts, o) for o in parts.manifest.outputs}


def _times(parts: Parts, output: Output) -> dict[str, Any]:
    head, first = parts.log.head(), next(parts.log.entries(), None)
    tallies = [entry.tables[output.table] for entry in parts.log.entries() if output.table in entry.tables]
    files = [file for tally in tallies for file in tally.files]
    return {
        "facts": output.facts,
        "actual_time": _origin(output),
        "first_actual_time": str(min(file.min_actual for file in files)) if files else None,
        "last_actual_time": str(max(file.max_actual for file in files)) if files else None,
        "first_processing_time": str(first.processing_time) if first else None,
        "last_processing_time": str(head.processing_time) if head else None,
        "entries": head.seq if head else 0,
    }


def _origin(output: Output) -> str:
    actual = output.actual_time
    if actual.column:
        return f"the column {actual.column}" + (f" until {actual.until}" if actual.until else "")
    return f"the constant {actual.constant}" if actual.constant else "the arrival of the row's file"


def _modes(parts: Parts, output: Output) -> dict[str, str]:
    product = parts.manifest.product
    default = output is parts.output(None)
    address = str(product) if default else f"{product}:{output.table}"
    table = _sql_name(product.domain, product.product if default else f"{product.product}:{output.table}")
    path = f"/{product}/{output.name}" if output is parts.output(output.name) else f"/{product}/{output.table}"
    return {
        "cli": f"tulle read {address} --limit 5",
        "http": f'curl -H "Authorization: Bearer $(tulle token)" "$(tulle status --door){path}.csv?limit=5"',
        "python": f'tulle.load("{address}").pandas()',
        "sql": f"select * from {table} limit 5",
        "events": f"tulle changes {address} --follow",
    }


def _sql_name(*parts: str) -> str:
    return ".".join(part if part.isidentifier() else f'"{part}"' for part in parts)
