"""A manifest as others read it: the description of the discovery port, JSON Schema, SQL DDL. All of it JSON-able."""

from __future__ import annotations

from typing import Any

from tulle.product.manifest import TYPES, ActualTime, Column, FileInput, Input, Manifest, Output

_JSON_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int8": {"type": "integer", "minimum": -(2**7), "maximum": 2**7 - 1},
    "int16": {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "decimal": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timestamp": {"type": "string", "format": "date-time"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}
TIMES = (
    Column("actual_time", "timestamp", "When the fact held in the world, UTC", required=True),
    Column("processing_time", "timestamp", "When the product came to know and publish it, UTC", required=True),
)
"""The columns that every row has besides its own."""


def describe(manifest: Manifest, mesh_id: str) -> dict[str, Any]:
    """What the product is, takes and serves."""
    return {
        "uri": manifest.product.uri(mesh_id),
        "product": str(manifest.product),
        "domain": manifest.product.domain,
        "team": manifest.team,
        "owner": manifest.owner,
        "purpose": manifest.purpose,
        "archetype": manifest.archetype,
        "domain_system": manifest.domain_system,
        "tags": list(manifest.tags),
        "readers": list(manifest.readers),
        "inputs": [_input(port) for port in manifest.inputs],
        "transform": _transform(manifest),
        "outputs": [describe_output(manifest, output) for output in manifest.outputs],
    }


def describe_output(manifest: Manifest, output: Output) -> dict[str, Any]:
    """One output port: its contract."""
    return {
        "name": output.name,
        "port": output.table,
        "address": f"{manifest.product}:{output.table}",
        "version": output.version,
        "facts": output.facts,
        "meaning": output.meaning,
        "key": list(output.key),
        "actual_time": temporal_shape(output.actual_time),
        "columns": [_column(column) for column in output.columns],
        "expectations": [
            {"name": e.name or e.rule, "rule": e.rule, "on_failure": e.on_failure} for e in output.expectations
        ],
        "objectives": [{"measure": o.measure, "promise": o.promise} for o in output.objectives],
    }


def temporal_shape(time: ActualTime) -> dict[str, Any]:
    """Where actual time comes from: `from` says which way, the other keys with what."""
    if time.constant is not None:
        return {"from": "constant", "constant": str(time.constant)}
    if time.arrival:
        return {"from": "arrival"}
    window = {"until": time.until} if time.until else {}
    return {"from": "column", "column": time.column, **window}


def json_schema(output: Output) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one row as the port serves it, its two times included."""
    columns = (*output.columns, *_times(output))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": output.table,
        "description": output.meaning,
        "type": "object",
        "properties": {column.name: _property(column, output) for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }


def sql_ddl(output: Output) -> str:
    """The port as a CREATE TABLE statement, with what the columns mean as comments."""
    columns = (*output.columns, *_times(output))
    lines = [f"    {_definition(column, output)}{',' if column is not columns[-1] else ''}" for column in columns]
    comments = [_comment(column) for column in columns]
    width = max(len(line) for line in lines)
    body = [f"{line.ljust(width)}  -- {said}" if said else line for line, said in zip(lines, comments, strict=True)]
    head = f"-- {_one_line(output.meaning)}\n" if output.meaning else ""
    identity = ", ".join(quoted(name) for name in (*output.key, *(c.name for c in _times(output)[:-1])))
    return "\n".join(
        [f"{head}CREATE TABLE {quoted(output.table)} (", *body, f");  -- a fact is identified by {identity}"]
    )


def quoted(name: str) -> str:
    """A name in SQL."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _times(output: Output) -> tuple[Column, ...]:
    if not output.actual_time.until:
        return TIMES
    until = Column("actual_until", "timestamp", "When the fact ceased to hold, UTC; none while it holds")
    return (TIMES[0], until, TIMES[1])


def _input(port: Input) -> dict[str, Any]:
    if not isinstance(port, FileInput):
        return {"name": port.name, "kind": "product", "from": str(port.source), "wait_for": list(port.wait_for)}
    columns = [{"name": name, "type": kind} for name, kind in port.format.columns]
    return {
        "name": port.name,
        "kind": "files",
        "folder": port.folder,
        "pattern": port.pattern,
        "delivery": port.delivery,
        "format": port.format.kind,
        "columns": columns,
    }


def _transform(manifest: Manifest) -> dict[str, str]:
    transform = manifest.transform
    if transform.sql:
        return {"sql": transform.sql}
    return {"python": transform.python} if transform.python else {}


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "meaning": column.meaning,
        "unit": column.unit,
        "required": column.required,
        "tags": list(column.tags),
    }


def _property(column: Column, output: Output) -> dict[str, Any]:
    shape = dict(_JSON_TYPES[column.type])
    if not _never_null(column, output):
        shape["type"] = [shape["type"], "null"]
    said = {"description": column.meaning, "unit": column.unit}
    return shape | {key: text for key, text in said.items() if text}


def _never_null(column: Column, output: Output) -> bool:
    return column.required or column.name in output.key


def _definition(column: Column, output: Output) -> str:
    return f"{quoted(column.name)} {TYPES[column.type]}{' NOT NULL' if _never_null(column, output) else ''}"


def _comment(column: Column) -> str:
    return _one_line(f"{column.meaning} [{column.unit}]" if column.unit else column.meaning)


def _one_line(text: str) -> str:
    return " ".join(text.split())
