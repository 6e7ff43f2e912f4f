"""What each column is: its SQL type, how it lies in Arrow and Parquet, its name in a Delta schema, its literals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from tulle.errors import CheckFailed, InvalidManifest, UsageError
from tulle.storage.shapes import TableShape
from tulle.times import Moment, parse_moment

INSTANT = pa.timestamp("us", tz="UTC")
SYSTEM: tuple[tuple[str, pa.DataType], ...] = (
    ("processing_time", INSTANT),
    ("_op", pa.int32()),
    ("_row_id", pa.int64()),
    ("_supersedes", pa.int64()),
    ("_superseded_at", INSTANT),
)
RESERVED = frozenset({"actual_time", "actual_until", "_layer", *(name for name, _ in SYSTEM)})
PUT, RETRACT = 0, 1


@dataclass(frozen=True)
class Kind:
    """One SQL type: its Arrow type in files and its Delta type. Delta has no time of day, which lies as text."""

    arrow: pa.DataType
    delta: str


_KINDS = {
    "VARCHAR": Kind(pa.string(), "string"),
    "BOOLEAN": Kind(pa.bool_(), "boolean"),
    "TINYINT": Kind(pa.int8(), "byte"),
    "SMALLINT": Kind(pa.int16(), "short"),
    "INTEGER": Kind(pa.int32(), "integer"),
    "BIGINT": Kind(pa.int64(), "long"),
    "FLOAT": Kind(pa.float32(), "float"),
    "DOUBLE": Kind(pa.float64(), "double"),
    "DATE": Kind(pa.date32(), "date"),
    "TIME": Kind(pa.string(), "string"),
    "TIMESTAMPTZ": Kind(INSTANT, "timestamp"),
    "BLOB": Kind(pa.binary(), "binary"),
}
_DECIMAL = re.compile(r"DECIMAL\(\s*(\d+)\s*,\s*(\d+)\s*\)")


def kind(sql_type: str) -> Kind:
    """The kind of a SQL type as manifests name it. Raises `InvalidManifest` E021 for one that tables cannot hold."""
    decimal = _DECIMAL.fullmatch(sql_type.strip().upper())
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        return Kind(pa.decimal128(precision, scale), f"decimal({precision},{scale})")
    found = _KINDS.get(sql_type.strip().upper())
    if found is None:
        raise InvalidManifest("E021", f"a table cannot hold columns of type {sql_type}", why=f"It can hold {_names()}")
    return found


def _names() -> str:
    return ", ".join([*_KINDS, "DECIMAL(p,s)"])


def check(shape: TableShape) -> None:
    """Raises `InvalidManifest` E021 where a shape cannot be a table of the log."""
    names = [name for name, _ in shape.columns]
    for name, sql_type in shape.columns:
        kind(sql_type)
        if name.lower() in RESERVED:
            raise InvalidManifest("E021", f"{name} in {shape.name} is a name that the log itself uses")
    lowered = [name.lower() for name in names]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    lost = [name for name in shape.key if name not in names]
    if twice or lost:
        what = f"columns named twice: {', '.join(twice)}" if twice else f"key columns that do not exist: {lost}"
        raise InvalidManifest("E021", f"{shape.name} has {what}")


def times(shape: TableShape) -> tuple[str, ...]:
    """The columns of actual time."""
    return ("actual_time", "actual_until") if shape.windows else ("actual_time",)


def fact_schema(shape: TableShape) -> pa.Schema:
    """User columns and actual time as they lie in files: what a put has."""
    fields = [(name, kind(sql_type).arrow) for name, sql_type in shape.columns]
    return pa.schema([*fields, *((name, INSTANT) for name in times(shape))])


def file_schema(shape: TableShape) -> pa.Schema:
    """All columns of a table's files."""
    return pa.schema([*fact_schema(shape), *(pa.field(name, type_) for name, type_ in SYSTEM)])


def identity_schema(shape: TableShape) -> pa.Schema:
    """The columns that identify a fact."""
    facts = fact_schema(shape)
    return pa.schema([facts.field(name) for name in shape.identity])


def empty(schema: pa.Schema) -> pa.Table:
    """No rows."""
    return pa.Table.from_batches([], schema)


def conform(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """`table` with exactly the columns of `schema`. Raises `CheckFailed` E035 if it lacks one or cannot be cast."""
    if table.schema.equals(schema):
        return table
    lost = [name for name in schema.names if name not in table.column_names]
    if lost and table.num_rows == 0:
        return empty(schema)
    if lost:
        raise CheckFailed("E035", f"{where} lacks {', '.join(lost)}", why=f"It has {', '.join(table.column_names)}")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CheckFailed("E035", f"{where} has a column of another type", why=_first_line(error)) from None


def _first_line(error: BaseException) -> str:
    """What Arrow says without the value it stumbled over, which is nobody's business here."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", "…", str(error).splitlines()[0]) if str(error) else ""


def quoted(name: str) -> str:
    """A name as SQL: always in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal as SQL."""
    return "'" + value.replace("'", "''") + "'"


def instant(moment: Moment) -> str:
    """A moment as SQL."""
    return f"TIMESTAMPTZ '{moment}'"


def presented(shape: TableShape, name: str) -> str:
    """The expression that shows a stored column in its declared SQL type, under its own name."""
    declared = dict(shape.columns).get(name, "").strip().upper()
    return f"CAST({quoted(name)} AS TIME) AS {quoted(name)}" if declared == "TIME" else quoted(name)


def sql_type(shape: TableShape, name: str) -> str:
    """The SQL type of a user or system column."""
    declared = dict(shape.columns).get(name)
    if declared:
        return declared
    return {"_op": "INTEGER", "_row_id": "BIGINT", "_supersedes": "BIGINT"}.get(name, "TIMESTAMPTZ")


def literal(value: Any, type_: str, column: str) -> str:
    """`value` as a SQL literal to compare a column of type `type_` with. Raises `UsageError` E011 if it cannot be."""
    type_ = type_.strip().upper()
    if value is None:
        return "NULL"
    try:
        return _literal(value, type_)
    except (ValueError, ArithmeticError, InvalidOperation, TypeError):
        shown = type_.lower()
        raise UsageError("E011", f"{value!r} cannot be compared with {column}, which is of type {shown}") from None


def _literal(value: Any, type_: str) -> str:
    if type_ in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"):
        return _whole(value)
    if type_ in ("FLOAT", "DOUBLE"):
        return f"CAST({text(repr(float(value)))} AS {type_})"
    if type_.startswith("DECIMAL"):
        number = Decimal(str(value))
        if not number.is_finite():
            raise ValueError(value)
        return f"CAST({text(format(number, 'f'))} AS {type_})"
    if type_ == "BOOLEAN":
        return _truth(value)
    if type_ == "TIMESTAMPTZ":
        return instant(parse_moment(value))
    if type_ == "DATE":
        return f"DATE {text(date.fromisoformat(str(value)).isoformat())}"
    if type_ == "TIME":
        return f"TIME {text(time.fromisoformat(str(value)).isoformat('microseconds'))}"
    if type_ == "BLOB":
        raw = value if isinstance(value, bytes) else str(value).encode()
        return f"from_hex({text(raw.hex())})"
    return text(str(value))


def _whole(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value):
        value = int(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return str(int(value))
    return f"CAST({text(repr(float(value)))} AS DOUBLE)"


def _truth(value: Any) -> str:
    words = {"true": "TRUE", "1": "TRUE", "false": "FALSE", "0": "FALSE"}
    found = words.get(str(value).strip().lower())
    if found is None:
        raise ValueError(value)
    return found


def same(columns: Sequence[str], left: str, right: str) -> str:
    """The condition that two aliases agree in all of `columns`: null equals null, NaN equals NaN."""
    pairs = (f"{left}.{quoted(name)} IS NOT DISTINCT FROM {right}.{quoted(name)}" for name in columns)
    return " AND ".join(pairs) or "TRUE"
